"""A contact's page: all its recordings on one axis, what is told of the call, and who looked at it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings import trail
from recordings.models import AuditEntry, Hold, Media, Presence, Recording, Role, Waveform
from recordings.search.contact import lay_out
from recordings.transfer import casework
from tests.factories import (
    make_case,
    make_copy,
    make_metadata,
    make_recording,
    make_tenant,
    make_user,
    name_of,
)

pytestmark = pytest.mark.django_db
ID = "10000000001"


def text(response, status=200):
    assert response.status_code == status
    return " ".join(response.content.decode().split())


def piece(tenant, start, *, seconds=None, media="VOICE", saved=False, contact=ID, **extra):
    """Make a recording of the contact that begins so many seconds after 07:49:13."""
    began = datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC) + timedelta(seconds=start)
    row = make_recording(
        tenant, key=name_of(contact=contact, media=media, started=began), saved=saved, **extra
    )
    if seconds is not None:
        Media.objects.create(recording=row, duration=seconds, read_at=timezone.now())
    return row


def span(pair):
    return (pair[1] - pair[0]).total_seconds()


def test_gaps_and_overlaps_are_those_between_start_and_end(tenant):
    rows = [piece(tenant, 0, seconds=60), piece(tenant, 5, seconds=40, media="SCREEN"),
            piece(tenant, 90, seconds=30), piece(tenant, 100, seconds=50)]  # fmt: skip
    axis = lay_out(rows)
    assert [span(gap) for gap in axis.gaps] == [30]
    assert [span(both) for both in axis.overlaps] == [20], "voice over voice, not screen over voice"
    assert [(clip.track, clip.lane) for clip in axis.clips] == [
        ("Voice", 0), ("Screen", 0), ("Voice", 0), ("Voice", 1)]  # fmt: skip
    assert axis.seconds == 150 and axis.lengths_known


def test_what_was_removed_from_the_archive_is_not_called_saved(client, sign_in, tenant):
    sign_in()
    pieces = [piece(tenant, at, saved=True) for at in (0, 90)]
    assert "All 2 saved" in text(client.get(f"/contacts/{ID}/"))
    gone = {"presence": "expired", "gone_at": timezone.now(), "removed_at": timezone.now()}
    for row, told in zip(pieces, ("1 of 2 saved, 1 removed", "All 2 removed"), strict=True):
        Recording.objects.filter(pk=row.pk).update(**gone)
        assert told in text(client.get(f"/contacts/{ID}/"))


def test_no_gap_is_claimed_after_a_recording_whose_length_nobody_knows(tenant):
    axis = lay_out([piece(tenant, 0, seconds=10), piece(tenant, 30), piece(tenant, 900, seconds=10)])
    assert [span(gap) for gap in axis.gaps] == [20]
    assert not axis.lengths_known


def test_the_page_shows_the_recordings_to_scale_with_gap_and_length(client, sign_in, tenant, archive):
    sign_in()
    first = piece(tenant, 0, seconds=60, saved=True)
    make_copy(first, archive)
    piece(tenant, 90, seconds=30)
    page = text(client.get(f"/contacts/{ID}/"))
    assert "1 of 2 saved" in page and "2 voice" in page and "Main archive" in page
    assert "Nothing was recorded for 30 s, in 1 gap." in page
    assert "2:00 <small>from the first start to the last end" in page and ">1:00</td>" in page
    # 642 px for 120 s: the first clip is half as long as the axis, the second begins at three quarters.
    assert 'x="128.0" y="34.0" width="321.0"' in page and 'x="609.5" y="34.0" width="160.5"' in page
    assert "Play the first" in page and f"/recordings/?q={ID}" in page
    assert " style=" not in page


def test_voices_are_drawn_with_their_sound_and_the_rest_is_listened_to(client, sign_in, tenant):
    sign_in()
    known, new = piece(tenant, 0), piece(tenant, 90, seconds=30)  # nobody has looked into a copy of the first
    piece(tenant, 0, seconds=60, media="SCREEN")
    Waveform.objects.create(
        recording=known, state="ready", duration=60, channels=2, peaks=bytes([9, 200] * 800)
    )
    page = text(client.get(f"/contacts/{ID}/"))
    assert page.count('class="wv"') == 1 and 'width="321.0" height="28.0" viewBox="0 0 160 96"' in page
    assert Waveform.objects.get(recording=new).state == "waiting" and Waveform.objects.count() == 2


def test_the_page_asks_until_each_voice_was_listened_to_or_failed(client, sign_in, tenant):
    sign_in()
    rows = [piece(tenant, 0), piece(tenant, 90), piece(tenant, 192)]
    asked = f"/contacts/{ID}/heard/"
    page = text(client.get(f"/contacts/{ID}/"))
    assert f'data-ask="{asked}"' in page and "At least 3:12 <small>not all lengths are known yet" in page
    assert "The lengths of 3 recordings are not known yet, so gaps after the first of them begins" in page
    Waveform.objects.filter(recording=rows[0]).update(
        state="ready", duration=60, channels=1, peaks=bytes([9, 200] * 80)
    )
    Waveform.objects.filter(recording=rows[1]).update(state="away", problem="It is not readable now.")
    page = text(client.get(asked))
    assert page.count('class="wv"') == 1 and "data-more" in page and 'data-length="60.000"' in page
    Waveform.objects.filter(recording=rows[2]).update(state="ready", duration=8)
    assert "data-more" not in text(client.get(asked))
    assert "data-ask" not in text(client.get(f"/contacts/{ID}/"))
    assert AuditEntry.objects.filter(action="opened a contact").count() == 1
    sign_in(Role.SUPERVISOR)
    client.get(asked)
    assert AuditEntry.objects.filter(action="opened a contact").count() == 2, "this alone is a look too"


def test_a_page_that_asks_on_has_a_few_voices_listened_to_at_a_time(client, sign_in, tenant):
    sign_in()
    for number in range(15):
        piece(tenant, number)
    for _ in range(2):
        text(client.get(f"/contacts/{ID}/"))
        assert Waveform.objects.count() == 12, "the others wait until some of these are done"
    Waveform.objects.update(state="ready")
    assert "data-more" in text(client.get(f"/contacts/{ID}/heard/"))
    assert Waveform.objects.count() == 15


def test_nothing_sounds_or_is_listened_to_before_a_reason_is_given(client, sign_in, tenant):
    sign_in()
    known, _ = piece(tenant, 0, seconds=60), piece(tenant, 90, seconds=30)
    Waveform.objects.create(
        recording=known, state="ready", duration=60, channels=1, peaks=bytes([9, 200] * 80)
    )
    tenant.ask_reason = True
    tenant.save()
    assert 'class="wv"' not in text(client.get(f"/contacts/{ID}/"))
    assert client.get(f"/contacts/{ID}/heard/").status_code == 403
    assert Waveform.objects.count() == 1


def test_its_open_cases_a_hold_and_each_file_are_one_press_away(client, sign_in, tenant):
    sign_in()
    row = piece(tenant, 0)
    case, closed = make_case(name="2026-114", recordings=[row]), make_case(name="2025-007", recordings=[row])
    casework.close(case=closed, by=make_user(), reason="Settled.")
    page = text(client.get(f"/contacts/{ID}/"))
    assert f'href="/cases/{case.pk}/">2026-114</a>' in page and "2025-007" not in page
    assert f'href="/recordings/{row.pk}/download"' in page
    hold = f"/holds/?contact_id={ID}&tenant={tenant.pk}"
    assert hold.replace("&", "&amp;") in page
    form = text(client.get(hold))
    assert f'value="{ID}"' in form and f'<option value="{tenant.pk}" selected>' in form
    sign_in(Role.SUPERVISOR)
    page = text(client.get(f"/contacts/{ID}/"))
    assert "2026-114" not in page and "/holds/" not in page


def test_names_are_shown_as_text_in_the_drawing(client, sign_in):
    sign_in()
    for name in ("<script>alert(1)</script>", "Other"):
        piece(make_tenant(name=name), 0, seconds=5)
    page = text(client.get(f"/contacts/{ID}/"))
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_the_first_that_can_be_played_is_offered(client, sign_in, tenant):
    sign_in()
    gone = piece(tenant, 0, presence=Presence.EXPIRED, gone_at=timezone.now(), days_left=-1)
    broken = piece(tenant, 10)
    Media.objects.create(recording=broken, problem="It is empty.", read_at=timezone.now())
    good = piece(tenant, 20)
    page = text(client.get(f"/contacts/{ID}/"))
    assert f'<a class="btn" href="/recordings/{good.pk}/' in page
    assert f'<a class="btn" href="/recordings/{gone.pk}/' not in page and "1 of 3 lost" in page


def test_what_is_told_of_the_call_stands_beside_it(client, sign_in, tenant):
    sign_in()
    make_metadata(tenant)
    piece(tenant, 0)
    page = text(client.get(f"/contacts/{ID}/"))
    for told in ("Ann Miller", "Billing", "Refunds; Returns", "+49 151 234567", "08001", "Resolved"):
        assert told in page
    assert "/recordings/?agent=Ann%20Miller" in page


def test_an_unknown_contact_is_a_404_that_says_so(client, sign_in, tenant):
    sign_in()
    page = text(client.get("/contacts/404/"), 404)
    assert "No recording of contact" in page and "after the next scan" in page
    assert not AuditEntry.objects.filter(action="opened a contact").exists()


BOTH_IDS = (
    "Contact ID,Master Contact ID,Start Date,Agent\n"
    "70000000001,10000000001,2026-11-03 07:49:13,Ann Miller\n70000000002,10000000009,2026-11-03 07:49:13,Bob\n"
)


def test_a_contact_whose_files_carry_its_other_id_leads_to_them(client, sign_in, tenant):
    sign_in()
    make_metadata(tenant, BOTH_IDS)
    piece(tenant, 0)
    page = text(client.get("/contacts/70000000001/"), 404)
    assert "under another ID" in page and 'href="/contacts/10000000001/"' in page
    assert "under another ID" not in text(client.get("/contacts/70000000002/"), 404), (
        "that one has no file either"
    )
    assert "Ann Miller" in text(client.get("/contacts/10000000001/"))
    client.force_login(make_user(tenants=[make_tenant()]))
    assert "under another ID" not in text(client.get("/contacts/70000000001/"), 404)


def test_nobody_sees_the_recordings_of_another_tenant(client, sign_in, tenant):
    other = make_tenant(name="Other")
    sign_in(tenants=[other])
    piece(tenant, 0)
    text(client.get(f"/contacts/{ID}/"), 404)
    make_metadata(tenant)
    piece(other, 5)
    page = text(client.get(f"/contacts/{ID}/"))
    assert "1 file" in page and "EMEA-1" not in page and "Ann Miller" not in page


def test_who_looked_played_and_downloaded_is_told_to_those_who_may_read_the_trail(client, sign_in, tenant):
    ann = sign_in(email="ann@example.com")
    row = piece(tenant, 0)
    assert "Nobody before you" in text(client.get(f"/contacts/{ID}/"))
    client.get(f"/contacts/{ID}/")
    opened = AuditEntry.objects.get(action="opened a contact")
    assert (opened.actor, opened.object, opened.detail["tenants"]) == (ann.email, ID, [tenant.pk])
    trail.record(
        trail.Entry(actor="bob@example.com", action=trail.Action.PLAYED, object=row.name, recording_id=row.pk)
    )
    page = text(client.get(f"/contacts/{ID}/"))
    assert (
        "ann@example.com opened this contact" in page
        and "bob@example.com played the voice of 07:49:13 UTC" in page
    )
    sign_in(Role.SUPERVISOR)
    page = text(client.get(f"/contacts/{ID}/"))
    assert "bob@example.com" not in page and "Who has seen it" not in page
    client.force_login(make_user(tenants=[tenant]))
    assert "ann@example.com opened this contact" in text(client.get(f"/contacts/{ID}/"))


def test_openings_by_who_saw_another_tenants_contact_are_not_told(client, sign_in, tenant):
    other = make_tenant(name="Other")
    piece(tenant, 0)
    client.force_login(make_user(email="ann@example.com", tenants=[tenant]))
    client.get(f"/contacts/{ID}/")
    piece(other, 0)
    client.force_login(make_user(tenants=[other]))
    assert "ann@example.com" not in text(client.get(f"/contacts/{ID}/"))


def held(tenant, row):
    """Place a hold on everything that a hold can be on, so that each covers the recording."""
    user = make_user()
    case = make_case(name=f"Takeover of Acme {row.pk}", recordings=[row])
    for what in (
        {"tenant": tenant}, {"tenant": tenant, "contact_id": ID}, {"tenant": tenant, "recording": row}, {"case": case},
    ):  # fmt: skip
        Hold.objects.create(placed_by=user, reason="Suspected fraud", **what)
    return case


def test_why_and_for_which_case_it_is_held_is_for_those_who_work_on_cases(client, sign_in, tenant):
    row = piece(tenant, 0)
    case = held(tenant, row)
    pages = (f"/contacts/{ID}/", f"/recordings/{row.pk}/", f"/recordings/?open={row.pk}")
    sign_in(Role.SUPERVISOR)
    for address in pages:
        page = text(client.get(address))
        assert "On legal hold." in page and case.name not in page and "fraud" not in page, address
    sign_in(Role.COMPLIANCE)
    for address in pages:
        page = text(client.get(address))
        assert f"case {case.name}" in page and page.count("Suspected fraud") == 4, address


def queries(client):
    with CaptureQueriesContext(connection) as asked:
        text(client.get(f"/contacts/{ID}/"))
    return len(asked)


def test_the_number_of_queries_does_not_grow_with_the_contact(client, sign_in, tenant, archive):
    sign_in()
    make_metadata(tenant)
    row = piece(tenant, 0, seconds=5, saved=True)
    make_copy(row, archive)
    held(tenant, row)
    client.get(f"/contacts/{ID}/")
    few = queries(client)
    for number in range(1, 8):
        row = piece(tenant, 10 * number, seconds=7, saved=True)
        make_copy(row, archive)
        held(tenant, row)
    for _ in range(4):
        client.get(f"/contacts/{ID}/")  # until there is nothing left to be listened to
    assert queries(client) == few
