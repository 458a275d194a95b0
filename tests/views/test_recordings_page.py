"""The recordings page works by addresses and plain forms alone; a script only makes it smoother."""

import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.models import Media, Presence, Role
from recordings.search.criteria import Criteria
from tests.factories import make_metadata, make_recording, make_tenant, name_of
from tests.search.test_words import TEXTS

pytestmark = pytest.mark.django_db
HERE = "/recordings/"
EVERYTHING = (
    "q=1&from=2026-01-01&to=2026-01-02&media=x&presence=in_sea&saved=no&playable=no&expires=3&tenant=1&shape=x&sort=expiry"
    "&hold=yes&size=%3E1mb&duration=%3C9m&agent=a&team=a&skill=a&ani=1&dnis=1&disposition=a"
)


def text(client, path=HERE, **headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def listed(page):
    return re.findall(r'<tr role="row" data-id="(\d+)"', page)


def links(page, label):
    return [
        unescape(href)
        for href in re.findall(rf'<a[^>]*href="([^"]+)"[^>]*>(?:<svg(?:(?!</svg>).)*</svg>)?\s*{label}', page)
    ]


def test_every_row_says_contact_start_in_two_zones_size_time_left_and_state(client, sign_in, tenant):
    sign_in()
    make_recording(tenant, key=name_of(contact="00012345", item="abc-1"), days_left=2.5, size=4_404_224)
    page = text(client)
    for word in (
        "00012345",
        "Voice, abc-1",
        "2026-11-03 07:49:13",
        "08:49:13 Berlin",
        "4.4 MB",
        "2 days left",
        "Not saved",
    ):
        assert word in page


def test_red_is_only_for_what_can_be_lost(client, sign_in, tenant):
    sign_in()
    make_recording(tenant, days_left=2.5, saved=True)
    page = text(client)
    assert "2 days left" in page and 'class="life late"' not in page and "st risk-s" not in page
    make_recording(tenant, days_left=2.5)
    page = text(client)
    assert 'class="life late"' in page and "st risk-s" in page


def test_unparsed_and_hostile_names_are_shown_and_escaped(client, sign_in, tenant):
    sign_in()
    make_recording(tenant, key="odd/<img src=x onerror=alert(1)>.mp4")
    page = text(client)
    assert "&lt;img src=x onerror=alert(1)&gt;.mp4" in page and "<img" not in page
    assert "Unparsed" in page and "arrived; start unknown" in page


def test_tabs_count_within_the_search(client, sign_in, some):
    sign_in()
    page = text(client)
    counts = dict(re.findall(r'id="tab-(\w+)".*?class="n">([^<]+)<', page))
    assert counts == {"all": "4", "at_risk": "2", "unsaved": "3", "saved": "1", "held": "0", "lost": "0"}
    counts = dict(re.findall(r'id="tab-(\w+)".*?class="n">([^<]+)<', text(client, f"{HERE}?q=10000000004")))
    assert counts == {"all": "1", "at_risk": "0", "unsaved": "0", "saved": "1", "held": "0", "lost": "0"}


def test_following_a_tab_shows_what_it_counted(client, sign_in, some):
    sign_in()
    page = text(client)
    href = unescape(re.search(r'id="tab-at_risk" href="([^"]+)"', page).group(1))
    page = text(client, href)
    assert listed(page) == [str(some["hours"].pk), str(some["risk"].pk)]  # soonest first
    assert 'id="tab-at_risk"' in page and 'aria-current="page"' in page.split('id="tab-at_risk"')[1][:200]


def test_each_filter_form_carries_the_rest_of_the_search_along(client, sign_in, some):
    sign_in()
    page = text(client, f"{HERE}?q=1000&media=VOICE&from=2026-11-01")
    for form in re.findall(r'<form class="pop" action="/recordings/">.*?</form>', page):
        assert 'type="hidden" name="q" value="1000"' in form
    media = next(
        form
        for form in re.findall(r'<form class="pop".*?</form>', page)
        if 'name="media" value="VOICE" checked' in form
    )
    assert 'type="hidden" name="media"' not in media and 'name="from" value="2026-11-01"' in media
    search = re.findall(r'<input type="hidden" form="search" name="(\w+)"', page)
    assert sorted(search) == ["from", "media"]


def test_a_chip_says_its_filter_and_how_to_drop_it(client, sign_in, some):
    sign_in()
    page = text(client, f"{HERE}?media=SCREEN&expires=7")
    assert "Media: <b>Screen</b>" in page and "Expires: <b>within 7 days</b>" in page
    assert links(page, "Any media") == ["/recordings/?expires=7"]
    assert listed(page) == [str(some["hours"].pk)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*Criteria.parse(EVERYTHING).params(), "after", "before", "open"]),
        TEXTS | st.text(max_size=8),
    )
)
def test_every_query_string_is_answered(client, sign_in, some, params):
    if "_auth_user_id" not in client.session:
        sign_in()
    page = client.get(HERE, params)
    assert page.status_code == 200
    problems = Criteria.parse(params).problems
    assert all(escape(problem) in page.content.decode() for problem in problems)


def test_the_filters_stay_while_a_recording_is_open(client, sign_in, some, tenant):
    sign_in()
    make_metadata(tenant)
    Media.objects.create(recording=some["risk"], duration=7, read_at=timezone.now())
    page = text(client, f"{HERE}?open={some['risk'].pk}")
    assert "Ann Miller" in page and 'name="media" value="SCREEN"' in page
    assert 'id="call-agent" type="search" name="agent"' in page


def test_what_was_understood_in_the_box_is_shown_with_a_way_to_take_it_out(client, sign_in, some):
    sign_in()
    page = text(client, f"{HERE}?q=media:voice+size:%3E1kb+10000000004&saved=yes")
    assert (
        "Media: <b>Voice</b>" in page and "Size: <b>over 1kb</b>" in page and "with 10000000004 in it" in page
    )
    assert links(page, "Media: <b>Voice</b>") == [f"{HERE}?q=size%3A%3E1kb+10000000004&saved=yes"]


@pytest.mark.parametrize(("head", "first", "second"), [
    ("Started", "newest", "oldest"), ("Length", "longest", "shortest"), ("Size", "largest", "smallest"), ("Expires", "expiry", "expiry_last"),
])  # fmt: skip
def test_a_head_sorts_by_its_column_and_then_the_other_way_round(client, sign_in, some, head, first, second):
    sign_in()
    tidy = "" if first == "newest" else f"sort={first}"
    (href,) = links(text(client, f"{HERE}?sort={second}"), head)
    assert href == f"{HERE}?sort={first}"
    page = text(client, f"{HERE}?{tidy}")
    assert links(page, head) == [f"{HERE}?sort={second}"]
    assert page.count("aria-sort=") == 1


def test_what_was_not_understood_is_told(client, sign_in, some):
    sign_in()
    page = text(client, f"{HERE}?from=yesterday&tenant=x")
    assert "“yesterday” is not a date" in page and len(listed(page)) == 4


def test_pages_follow_each_other_and_lead_back(client, sign_in, tenant):
    sign_in()
    for number in range(120):
        make_recording(tenant, key=name_of(contact=f"{number:011}"))
    first = text(client)
    second = text(client, links(first, "Next")[0])
    third = text(client, links(second, "Next")[0])
    assert [len(listed(page)) for page in (first, second, third)] == [50, 50, 20]
    assert len({*listed(first), *listed(second), *listed(third)}) == 120
    assert not links(third, "Next")
    assert listed(text(client, links(third, "Previous")[0])) == listed(second)
    assert listed(text(client, links(third, "First")[0])) == listed(first)


def test_htmx_gets_the_results_alone_and_a_tidy_address(client, sign_in, some):
    sign_in()
    ask = {"HX-Request": "true", "HX-Target": "results"}
    response = client.get(f"{HERE}?q=&from=&media=SCREEN", headers=ask)
    page = response.content.decode()
    assert "<html" not in page and 'id="results"' in page and "1 found" in page
    assert response["HX-Push-Url"] == "/recordings/?media=SCREEN"
    assert "HX-Request" in response["Vary"]


def test_going_back_gets_the_whole_page(client, sign_in, some):
    sign_in()
    page = text(client, **{"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in page


def test_the_open_recording_is_in_the_address(client, sign_in, some):
    sign_in()
    page = text(client, f"{HERE}?q=1000&open={some['calm'].pk}")
    assert f'<aside class="peek" id="peek" data-id="{some["calm"].pk}"' in page
    assert f'data-id="{some["calm"].pk}" data-open' in page


@pytest.mark.parametrize("told", ["9999999", "x", "-1", "99999999999999999999"])
def test_an_open_recording_that_is_not_there_is_just_closed(client, sign_in, some, told):
    sign_in()
    assert '<div id="peek" hidden></div>' in text(client, f"{HERE}?open={told}")


def test_another_tenants_recording_does_not_open(client, sign_in, some):
    sign_in(tenants=[make_tenant()])
    page = text(client, f"{HERE}?open={some['calm'].pk}")
    assert "10000000003" not in page and not listed(page)
    assert client.get(reverse("recording", args=[some["calm"].pk])).status_code == 404


def test_what_a_role_may_not_do_is_not_offered(client, sign_in, some):
    sign_in(Role.SUPERVISOR)
    page = text(client)
    assert "Save now" not in page and "/download" not in page and "export.csv" in page


def test_a_pasted_list_becomes_one_address(client, sign_in, some):
    sign_in()
    pasted = "10000000001,\n10000000003;10000000001\t"
    response = client.post(HERE, {"q": pasted})
    assert response["Location"] == "/recordings/?q=10000000001+10000000003"
    assert sorted(listed(text(client, response["Location"]))) == sorted(
        [str(some["risk"].pk), str(some["calm"].pk)]
    )


def test_a_list_too_long_for_an_address_says_where_it_was_cut(client, sign_in, some):
    sign_in()
    ids = [f"{20_000_000_000 + number}" for number in range(900)]
    response = client.post(HERE, {"q": "\n".join(ids)})
    assert len(response["Location"]) < 8000
    kept = response["Location"].count("+") + 1
    page = text(client, response["Location"])
    assert (
        f"One search holds {kept:,} of the 900 that you pasted. Search for the rest next, from {ids[kept]} on."
        in page
    )


def test_nothing_found_says_what_to_do(client, sign_in, some):
    sign_in()
    assert "Nothing matches" in text(client, f"{HERE}?q=777")
    assert "Nothing lost here" in text(client, f"{HERE}?saved=no&presence=expired&presence=vanished")


class TestRecording:
    def test_its_page_has_player_facts_and_history(self, client, sign_in, some):
        sign_in()
        row = some["risk"]
        page = text(client, reverse("recording", args=[row.pk]))
        assert f'<audio controls preload="none" src="/recordings/{row.pk}/media"' in page
        for word in (
            row.key,
            row.etag,
            "1 kB",
            "1,000 bytes",
            "Arrived in SEA",
            "SEA removes it",
            "No copy yet",
        ):
            assert word in page

    def test_a_screen_recording_is_a_video(self, client, sign_in, some):
        sign_in()
        assert "<video controls" in text(client, reverse("recording", args=[some["hours"].pk]))

    def test_looking_at_it_is_not_playing_it(self, client, sign_in, some):
        sign_in()
        page = text(client, reverse("recording", args=[some["risk"].pk]))
        assert 'preload="none"' in page and "Played by" not in page

    @pytest.mark.parametrize(
        ("extra", "told"),
        [
            ({"size": 0}, "This file has 0 bytes"),
            ({"key": "notes.txt"}, "This kind of file has no player here"),
            (
                {"presence": Presence.EXPIRED, "gone_at": timezone.now()},
                "no archive has a copy, so there is nothing to play",
            ),
        ],
    )
    def test_what_cannot_be_played_says_why(self, client, sign_in, tenant, extra, told):
        sign_in()
        row = make_recording(tenant, **extra)
        page = text(client, reverse("recording", args=[row.pk]))
        assert told in page and "<audio" not in page and "<video" not in page

    def test_the_panel_alone_comes_to_htmx_with_its_address(self, client, sign_in, some):
        sign_in()
        path = reverse("recording", args=[some["calm"].pk]) + "?q=1000&sort=oldest"
        response = client.get(path, headers={"HX-Request": "true", "HX-Target": "peek"})
        assert "<html" not in response.content.decode()
        assert response["HX-Push-Url"] == f"/recordings/?q=1000&sort=oldest&open={some['calm'].pk}"

    def test_the_arrows_follow_the_search(self, client, sign_in, some):
        sign_in()
        path = reverse("recording", args=[some["hours"].pk]) + "?saved=no&expires=7&sort=expiry"
        page = text(client, path)
        assert "Previous recording" not in page
        href = unescape(re.search(r'href="([^"]+)" aria-label="Next recording"', page).group(1))
        assert href.startswith(reverse("recording", args=[some["risk"].pk]))

    def test_who_played_it_is_for_those_who_may_read_the_trail(self, client, sign_in, some):
        from recordings import trail

        row = some["risk"]
        trail.record(trail.Entry(actor="ann@example.com", action=trail.Action.PLAYED, recording_id=row.pk))
        sign_in(Role.COMPLIANCE)
        assert "Played by ann@example.com" in text(client, reverse("recording", args=[row.pk]))
        sign_in(Role.SUPERVISOR)
        assert "ann@example.com" not in text(client, reverse("recording", args=[row.pk]))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("q=media:foo", "“foo” is none of the usual media types (voice, screen, statement, unparsed)"),
        ("q=media:voice,foo", "“foo” is none of the usual media types"),
        ("media=FOO", "“foo” is none of the usual media types"),
        ("q=tenant:nowhere", "No tenant that you see has “nowhere” in its name. You see EMEA-1."),
        ("tenant=999999", "You see no tenant with the number 999999. You see EMEA-1."),
    ],
)
def test_a_value_that_names_nothing_is_told_with_those_that_do(client, sign_in, some, query, told):
    sign_in()
    for address in ("/recordings/", "/recordings/breakdown/"):
        assert told in client.get(f"{address}?{query}").content.decode()


def test_a_media_type_that_files_have_is_no_slip_and_nor_is_a_tenant_that_one_sees(client, sign_in, tenant):
    sign_in(tenants=[tenant])
    make_tenant(name="Elsewhere")
    make_recording(tenant, key=name_of(media="WHISPER"))
    for query in (
        "q=media:whisper",
        "media=WHISPER",
        "q=media:statement",
        "q=tenant:emea",
        f"tenant={tenant.pk}",
    ):
        assert 'class="note warn"' not in client.get(f"/recordings/?{query}").content.decode(), query
    page = client.get("/recordings/?q=tenant:elsewhere").content.decode()
    assert "You see EMEA-1." in page, "of a tenant that one does not see, as of one that does not exist"


@pytest.mark.parametrize(
    ("query", "tab"),
    [("", "all"), ("saved=no&presence=in_sea", "unsaved"), ("saved=no", "own"), ("presence=released", "own")],
)
def test_one_tab_says_where_one_is(client, sign_in, some, query, tab):
    sign_in()
    page = client.get(f"/recordings/?{query}").content.decode()
    assert re.findall(r'id="tab-(\w+)" href="[^"]*" aria-current="page"', page) == [tab]
    assert ("As filtered" in page) == (tab == "own")
