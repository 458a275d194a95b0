"""Whatever stands behind the question mark, every page of a search answers with a page or a sentence."""

import re
from urllib.parse import quote

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recordings.models import Export, Run, SavedSearch
from tests.factories import make_recording

pytestmark = pytest.mark.django_db
NAMES = ["q", "from", "to", "media", "presence", "saved", "playable", "hold", "expires", "size", "size_from", "duration", "duration_to",
         "tenant", "agent", "ani", "shape", "sort", "after", "before", "open", "column", "bom", "id", "everything", "query", "upto",
         "page", "list"]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "yes", "no", "7", "07", "-1", "9" * 30, "2026-11-03", "0001-01-01", "9999-12-31", "voice", "in_sea", "expiry", "longest",
         ">50mb", "..", "last week", "media:voice 12", "agent:Ann tag:x", "case:7", "2026/11", "/", "%", "_", "'", "\\", "tenant",
         "2026-11-03T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-11-03T00:00:00+23:00", "W10", "saved=maybe"]
    ).map(quote),
    st.text(max_size=8).map(quote),
    # No text at all: bytes that are no UTF-8, half an escape, a NUL.
    st.sampled_from(["%ff", "%00", "%c3%28", "%", "%zz", "%ED%A0%80", "+", "%0d%0a", "a" * 3000]),
)  # fmt: skip
QUERY = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=7).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
PAGES = {
    "recordings": "/recordings/",
    "breakdown": "/recordings/breakdown/",
    "panel": "/recordings/{pk}/",
    "export form": "/recordings/export/",
    "CSV": "/recordings/export.csv",
    "selection": "selected_sum",
    "new search": "search_new",
    "searches": "searches",
    "lost": "/lost/",
}
FAR_AWAY = "WyIyMDI2LTExLTAzVDAwOjAwOjAwKzIzOjAwIiwgN10"  # a place, at a moment in a zone 23 hours away
FUZZ = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def asked(client, sign_in, some):
    sign_in()
    pk = some["risk"].pk

    def ask(name, query, **more):
        where = PAGES[name].format(pk=pk)
        answer = client.get(f"{where if where.startswith('/') else reverse(where)}?{query}", **more)
        if answer.streaming:
            b"".join(answer.streaming_content)
        return answer

    return ask


@pytest.mark.parametrize("name", PAGES)
@FUZZ
@given(query=QUERY)
@example(query="q=%ff&q=%ff&media=%ff")
@example(query=f"after={FAR_AWAY}")
@example(query="tenant=7&tenant=07&media=voice&media=VOICE&sort=expiry&sort=x")
def test_every_query_string_is_answered(asked, name, query):
    answer = asked(name, query)
    assert answer.status_code == 200 or (name == "CSV" and answer.status_code == 302), answer.status_code


@pytest.mark.parametrize("name", ["recordings", "breakdown"])
@FUZZ
@given(query=QUERY)
def test_every_query_string_is_answered_to_a_script(asked, name, query):
    assert asked(name, query, headers={"HX-Request": "true", "HX-Target": "results"}).status_code == 200


@FUZZ
@given(query=QUERY, form=QUERY)
@example(query="", form="everything=yes&query=saved%3Dmaybe&upto=%ff")
@example(query="", form="everything=yes&query=saved%3Dno&upto=2026-11-03T00:00:00%2B23:00")
@example(query="", form="everything=yes&query=saved%3Dno&upto=0001-01-01T00:00:00%2B14:00")
def test_whatever_is_posted_is_answered(client, asked, query, form):
    for where in ("/recordings/selected.csv", "/recordings/export/", reverse("search_new"), "/recordings/"):
        answer = client.post(
            f"{where}?{query}", form, content_type="application/x-www-form-urlencoded", headers={"X": "y"}
        )
        assert answer.status_code in (200, 302, 422), (where, answer.status_code)
        if answer.streaming:
            b"".join(answer.streaming_content)


def test_moments_that_postgresql_refuses_and_nuls_are_answered_on_other_pages_too(client, sign_in):
    sign_in()
    run = Run.objects.create(title="Run", started_by="x", finished_at=timezone.now(), total=0)
    there, far = reverse("run", args=[run.pk]), "2026-11-03T00:00:00%2B23:00"
    for address in (
        f"/alerts/?before={far}~7",
        f"/lost/?after={FAR_AWAY}",
        f"{there}?reason=%00",
        "/bundles/new/?contact=%00",
    ):
        assert client.get(address).status_code in (200, 302), address
    said = {"everything": "yes", "reason": "x", "seen_until": "2026-11-03T00:00:00+23:00"}
    assert client.post("/lost/acknowledge/", said).status_code == 302
    assert client.post(reverse("run_retry", args=[run.pk]), {"reason": "\0"}).status_code == 302


def test_what_cannot_be_decoded_is_shown_as_what_it_was_read_as(client, sign_in, tenant):
    make_recording(tenant)
    sign_in()
    page = client.get("/recordings/?q=%ff&tenant=%ff").content.decode()
    assert "“�” is not a number that tenant can be." in page and 'value="�"' in page
    assert not re.search(r'name="tenant" value="\D', page)
    assert connection.is_usable() and not Export.objects.exists() and not SavedSearch.objects.exists()
