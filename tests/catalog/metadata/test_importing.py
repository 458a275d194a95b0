"""Importing a CSV: what is new, changed, matched, missing and malformed; and that a killed import leaves nothing."""

import csv as stdlib
import io
import os
from datetime import UTC, datetime

import pytest
from django.db import connection, connections
from django.utils import timezone

from recordings.catalog.metadata import importing, merging
from recordings.catalog.metadata.columns import Mapping
from recordings.catalog.metadata.completeness import gaps_csv, malformed_csv, page
from recordings.catalog.metadata.importing import AlreadyImporting, forgotten, run_import
from recordings.catalog.metadata.uploading import UploadRefused, ask, clear_uploads, look, proposed, upload
from recordings.models import AuditEntry, Interaction, MetadataGap, MetadataImport, Presence, Term
from recordings.models.metadata import uploads
from tests.factories import make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db

HEAD = "ACD Call ID,Segment ID,Start Date,Agent 1 Name,Agent 1 Team,Agent 1 Skills,ANI,DNIS,Disposition\n"


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.VAR = tmp_path / "var"
    return settings.VAR


@pytest.fixture
def tenant():
    return make_tenant(name="EMEA-1")


def asked(tenant, text, **changes):
    source = upload(
        tenant=tenant, file_name="calls.csv", chunks=[text if isinstance(text, bytes) else text.encode()],
        actor="ann@example.com",
    )  # fmt: skip
    told = look(source.file)
    mapping, _ = proposed(told)
    kept = {**mapping.kept(), **changes}
    ask(source=source, mapping=Mapping.of(kept), headings=told.headings, actor="ann@example.com")
    return source


def imported(tenant, text, **changes):
    return run_import(source=asked(tenant, text, **changes))


def line(contact="1001", segment="s-1", start="2026-11-03 07:49:13", agent="Ann Miller", ani="+49151234"):
    return f'{contact},{segment},{start},{agent},Billing,"Refunds, Returns",{ani},08001,Resolved\n'


def everything():
    names = (
        "contact_id",
        "item_id",
        "started_at",
        "agent__text",
        "team__text",
        "skill__text",
        "ani",
        "dnis__text",
        "id",
    )
    return list(Interaction.objects.order_by("id").values_list(*names, "source_id"))


def physical():
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg((ctid, xmin)::text ORDER BY id) FROM recordings_interaction")
        return cursor.fetchone()


def test_each_line_becomes_an_interaction_with_its_shared_texts_written_once(tenant):
    done = imported(tenant, HEAD + line("0012") + line("0013", "s-2", agent="Bob"))
    assert (done.state, done.lines, done.new, done.malformed) == ("done", 2, 2, 0), done.problem
    assert everything()[0][:8] == (
        "0012", "s-1", datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC), "Ann Miller", "Billing", "Refunds, Returns",
        "+49151234", "08001",
    )  # fmt: skip
    assert sorted(Term.objects.filter(kind="team").values_list("text", flat=True)) == ["Billing"]
    entry = AuditEntry.objects.get(action="imported metadata")
    assert (entry.actor, entry.object, entry.detail["new"]) == ("ann@example.com", "calls.csv", 2)


def test_the_same_file_twice_changes_nothing(tenant):
    text = HEAD + line() + line("1002", "", agent="Bob") + line("1003", "", "", agent="")
    imported(tenant, text)
    before, rows = everything(), physical()
    again = imported(tenant, text)
    assert (again.new, again.changed, again.matched + again.unmatched) == (0, 0, 3)
    assert everything() == before and physical() == rows, "not one row was written"


def test_a_later_file_changes_what_it_says_and_leaves_what_it_does_not_mention(tenant):
    imported(tenant, HEAD + line() + line("1002", "s-2"))
    done = imported(tenant, "Contact ID,Segment ID,Agent 1 Name\n1001,S-1,Zoë\n1002,s-2,Ann Miller\n")
    assert (done.new, done.changed) == (0, 1), "the second line says nothing new"
    first, second = Interaction.objects.order_by("contact_id")
    assert (first.agent.text, first.team.text, first.ani, first.source_id) == (
        "Zoë",
        "Billing",
        "+49151234",
        done.pk,
    )
    assert second.agent.text == "Ann Miller" and second.disposition.text == "Resolved"


def test_a_segment_that_a_file_tells_twice_is_kept_as_told_last(tenant):
    done = imported(tenant, HEAD + line(agent="Ann") + line(agent="Bob") + line(agent="Eve"))
    assert (done.lines, done.new, done.repeated) == (3, 1, 2)
    assert Interaction.objects.get().agent.text == "Eve"


def test_lines_without_a_segment_are_told_apart_by_start_and_agent(tenant):
    text = (
        HEAD
        + line(segment="")
        + line(segment="", agent="Bob")
        + line(segment="", start="2026-11-03 08:00:00")
    )
    assert imported(tenant, text).new == 3


def test_texts_that_the_database_would_misread_arrive_as_they_are(tenant):
    text = 'Contact ID,Agent,ANI\n"a\tb\\N","back\\slash \\t",\\N\n"c\nd",%s {} %(x)s,"1\u00a02"\n'
    assert imported(tenant, text).new == 2
    rows = list(Interaction.objects.order_by("contact_id").values_list("contact_id", "agent__text", "ani"))
    assert rows == [("a\tb\\N", "back\\slash \\t", "\\N"), ("c\nd", "%s {} %(x)s", "1 2")]


def test_tenants_are_kept_apart(tenant):
    other = make_tenant()
    imported(tenant, HEAD + line())
    assert imported(other, HEAD + line(agent="Bob")).new == 1
    assert Interaction.objects.get(tenant=tenant).agent.text == "Ann Miller"


def test_malformed_rows_are_kept_with_their_line_and_reason_and_the_good_ones_go_in(tenant):
    done = imported(
        tenant, HEAD + line() + ",s-9,,,,,,,\n1005\n" + line("1006", start="soon") + line("1007", "s-7")
    )
    assert (done.state, done.lines, done.malformed, done.new) == ("done", 5, 3, 2)
    told = [(bad.number, bad.reason.split(".")[0]) for bad in done.malformed_lines.all()]
    assert told[:2] == [(3, "The contact ID is empty"), (4, "It has only 1 cell; the headings name 9")]
    assert told[2][0] == 5 and "soon" in told[2][1]
    rows = list(stdlib.reader(io.StringIO(b"".join(malformed_csv(done)).decode("utf-8-sig"))))
    assert [row[0] for row in rows] == ["line", "3", "4", "5"]


def test_malformed_rows_beyond_a_limit_are_counted_only(tenant, monkeypatch):
    monkeypatch.setattr(importing, "MOST_MALFORMED", 3)
    done = imported(tenant, HEAD + "x\n" * 10)
    assert (done.state, done.malformed, done.malformed_lines.count(), done.new) == ("done", 10, 3, 0)


def test_what_has_a_file_is_matched_and_what_has_none_is_told(tenant):
    keys = {
        "voice": name_of(contact="1001", item="s-1"),
        "screen": name_of(contact="1002", media="SCREEN", item="r-2"),
    }
    make_recording(tenant, key=keys["voice"])
    make_recording(tenant, key=keys["screen"])
    make_recording(
        tenant,
        key=name_of(contact="1003", item="s-3"),
        saved=True,
        presence=Presence.EXPIRED,
        gone_at=timezone.now(),
    )
    make_recording(
        tenant, key=name_of(contact="1004", item="s-4"), presence=Presence.EXPIRED, gone_at=timezone.now()
    )
    make_recording(make_tenant(), key=name_of(contact="1005", item="s-5"))
    removed = {"presence": Presence.EXPIRED, "gone_at": timezone.now(), "removed_at": timezone.now()}
    make_recording(tenant, key=name_of(contact="1006", item="s-6"), saved=True, **removed)
    text = HEAD + "".join(line(f"100{n}", f"S-{n}") for n in range(1, 7)) + line("1002", "")
    done = imported(tenant, text)
    assert (done.matched, done.unmatched, done.missing_contacts) == (3, 4, 3)
    assert {(gap.contact_id, gap.state) for gap in page(done).rows} == {
        ("1002", "segment"), ("1004", "lost"), ("1005", "contact"), ("1006", "removed"),
    }  # fmt: skip


def test_a_file_named_by_the_master_contact_id_counts(tenant):
    make_recording(tenant, key=name_of(contact="9001", item="s-1"))
    done = imported(tenant, "ACD Contact ID,Master Contact ID,Segment ID\n1001,9001,s-1\n1002,9002,s-2\n")
    assert (done.matched, done.unmatched, done.missing_contacts) == (1, 1, 1)


def test_the_completeness_report_says_when_a_file_has_come_since(tenant):
    done = imported(tenant, HEAD + line("1001", "s-1", agent="=Ann") + line("1002", "s-2"))
    make_recording(tenant, key=name_of(contact="1002", item="s-2"))
    rows = list(stdlib.DictReader(io.StringIO(b"".join(gaps_csv(done)).decode("utf-8-sig"))))
    assert [(row["contact_id"], row["state"]) for row in rows] == [
        ("1001", "No file of the contact"), ("1002", "Has its file since"),
    ]  # fmt: skip
    assert rows[0]["agent"] == "'=Ann" and rows[0]["started_utc"] == "2026-11-03T07:49:13Z"


def test_gaps_come_in_pages(tenant):
    done = imported(tenant, HEAD + "".join(line(f"2{n:04}", f"s-{n}") for n in range(120)))
    seen, after = [], 0
    while after is not None:
        found = page(done, after=after)
        seen += [gap.contact_id for gap in found.rows]
        after = found.next
    assert sorted(seen) == [f"2{n:04}" for n in range(120)] and len(seen) == 120


def test_an_import_that_breaks_off_while_writing_leaves_nothing_and_can_be_done_again(tenant, monkeypatch):
    source = asked(tenant, HEAD + line() + "bad\n")
    monkeypatch.setattr(merging, "MISSING_CONTACTS", "SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        run_import(source=source)
    source.refresh_from_db()
    assert source.state == "failed" and "Nothing was imported" in source.problem
    assert not Interaction.objects.exists() and not Term.objects.exists() and not MetadataGap.objects.exists()
    assert not source.malformed_lines.exists() and not source.file.exists()


def test_a_dead_workers_import_is_begun_anew_by_the_next_one(tenant):
    source = asked(tenant, HEAD + line())
    MetadataImport.objects.update(
        state="reading", lines=7, read_bytes=3, beat_at="2026-01-01T00:00:00Z", tries=1
    )
    assert forgotten() == [source]
    done = run_import(source=source)
    assert (done.state, done.lines, done.new, done.tries) == ("done", 1, 1, 2)
    assert forgotten() == [] and run_import(source=source).tries == 2, "what has ended stays so"


def test_an_import_that_kills_its_workers_is_given_up(tenant):
    source = asked(tenant, HEAD + line())
    MetadataImport.objects.update(tries=3)
    assert "3 workers stopped" in run_import(source=source).problem


def test_two_workers_never_import_one_file_at_once(tenant):
    source = asked(tenant, HEAD + line())
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [importing._IMPORT, source.pk])
            with pytest.raises(AlreadyImporting):
                run_import(source=source)
            cursor.execute("SELECT pg_advisory_unlock_all()")
        assert run_import(source=source).state == "done"
    finally:
        other.close()


def test_the_upload_is_private_and_is_gone_after_the_import(tenant, var):
    source = asked(tenant, HEAD + line())
    assert source.file.stat().st_mode & 0o777 == 0o600 and source.file.parent.stat().st_mode & 0o777 == 0o700
    run_import(source=source)
    assert list((var / "imports").iterdir()) == []


def test_a_file_that_is_not_there_for_the_worker_is_told(tenant):
    source = asked(tenant, HEAD + line())
    source.file.unlink()
    assert "let them share SEAPORTAL_VAR" in run_import(source=source).problem


@pytest.mark.parametrize(
    ("chunks", "sentence"),
    [
        ([b""], "does not begin with a line of headings"),
        ([b"Contact ID\n"], "headings and no rows"),
        ([b"Contact ID\n", b"1\n" * 600_000], "more than 1 MB"),
    ],
)
def test_an_upload_that_cannot_be_imported_is_refused_and_not_kept(tenant, settings, var, chunks, sentence):
    settings.METADATA_MEGABYTES = 1
    with pytest.raises(UploadRefused, match=sentence):
        upload(tenant=tenant, file_name="x.csv", chunks=chunks, actor="ann")
    assert list((var / "imports").iterdir()) == [] and not MetadataImport.objects.exists()


def test_a_mapping_is_remembered_by_its_headings(tenant):
    source = upload(
        tenant=tenant, file_name="a.csv", chunks=[b"Ref,Who,When\n1,Ann,3/11/2026\n"], actor="ann"
    )
    told = look(source.file)
    assert proposed(told) == (None, False)
    chosen = Mapping(columns=("contact_id", "agent", "started"), order="dmy", zone="Europe/Berlin")
    assert ask(source=source, mapping=chosen, headings=told.headings, actor="ann")
    assert not ask(source=source, mapping=chosen, headings=told.headings, actor="ann"), "asked once"
    assert proposed(told) == (chosen, True)
    run_import(source=source)
    assert Interaction.objects.get().started_at == datetime(2026, 11, 2, 23, tzinfo=UTC)


def test_uploads_that_nobody_went_on_with_are_removed_after_a_day(tenant):
    old, young, waiting = (asked(tenant, HEAD + line()) for _ in range(3))
    MetadataImport.objects.filter(pk=old.pk).update(state="uploaded")
    MetadataImport.objects.filter(pk=old.pk).update(at="2026-01-01T00:00:00Z")
    (uploads() / "stray.csv").write_text("x")
    for path in uploads().iterdir():
        if path != young.file:
            os.utime(path, (0, 0))
    assert clear_uploads() == 2
    assert {path.name for path in uploads().iterdir()} == {young.path, waiting.path}
    assert not MetadataImport.objects.filter(pk=old.pk).exists()
