"""A case that is kept to its people is named to nobody else, also not by the searches in which they typed its name."""

from urllib.parse import urlencode

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.delivery import schedules
from recordings.delivery.bundle.manifest import Manifest
from recordings.models import Bundle, BundleText, Case, ExportMail, ExportSchedule, Role, Run
from recordings.search import saved
from recordings.search.criteria import Criteria
from tests.factories import make_archive, make_case, make_job, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def eve():
    """The owner of a case that is kept to her."""
    eve = make_user(Role.COMPLIANCE, email="eve@example.com")
    Case.objects.filter(pk=make_case(name="Secret 114", owner=eve).pk).update(members_only=True)
    return eve


def test_the_menu_counts_the_cases_that_a_person_may_know_of(client, ann, eve):
    make_case(name="Open 7")
    for person, number in ((ann, "1"), (eve, "2")):
        client.force_login(person)
        shell = client.get(reverse("cases")).context["shell"]
        assert [item.count for item in shell.work if item.label == "Cases"] == [number]


def test_a_shared_search_that_names_a_kept_case_is_for_those_who_know_of_it(as_ann, ann, eve):
    make_case(name="Open 7")
    for name, text in (
        ("Hers", 'case:"secret 114"'),
        ("Typo", "case:secre"),
        ("Space", 'case :"secret 114"'),
        ("Ours", 'case:"Open 7"'),
    ):
        saved.keep(owner=eve, name=name, criteria=Criteria.parse(urlencode({"q": text})), shared=True)
    hers = saved.seen_by(eve).get(name="Hers")
    assert [one.name for one in saved.seen_by(ann)] == ["Ours"]  # nor is told whether there is such a case
    assert saved.same(Criteria.parse(hers.query), ann) is None
    assert saved.seen_by(eve).count() == 4
    assert {one.name for one in saved.seen_by(make_user(Role.ADMIN))} == {"Hers", "Ours", "Space"}
    assert not saved.seen_by(make_user(Role.SUPERVISOR)).exists()
    assert as_ann.get(reverse("search_schedule", args=[hers.pk])).status_code == 404
    for address in (reverse("searches"), reverse("recordings")):
        page = as_ann.get(address).content.decode()
        assert "Ours" in page and "ecret" not in page


def test_the_trail_names_no_kept_case_that_somebody_else_searched_for(as_ann, eve):
    query = urlencode({"q": "case:“Secret 114” media:voice", "saved": "no"})
    for actor in ("eve@example.com", "ann@example.com"):
        trail.record(
            trail.Entry(actor=actor, action=trail.Action.EXPORTED, object=query, detail={"query": query})
        )

    def lines(**asked):
        return as_ann.get(reverse("audit"), asked).context["lines"]

    own, others = lines()
    said = "case:“Secret 114” media:voice, saved: no"
    assert own.object == said and own.more == f"query: {said}"
    assert "Secret" not in f"{others.object} {others.more}"
    assert "media:voice, saved: no" in others.object
    sent = b"".join(as_ann.get(reverse("audit_csv"), {"who": "eve"}).streaming_content).decode()
    assert "media:voice, saved: no" in sent and "Secret" not in sent
    assert [line.entry.actor for line in lines(text="Secret+1")] == ["ann@example.com"]  # nor by guessing
    as_ann.force_login(eve)
    assert said in {line.object for line in lines(action="exported CSV")}


def test_what_somebody_calls_a_search_for_a_kept_case_is_kept_as_well(as_ann, ann, eve):
    asks = {"criteria": Criteria.parse(urlencode({"q": 'case:"Secret 114"'})), "shared": True}
    search = saved.keep(owner=eve, name="Secret, weekly", **asks)
    saved.change(search=search, name="Secret 114, weekly", shared=True, actor=eve)
    plan = schedules.keep(schedule=ExportSchedule(search=search, by=eve), readers=[ann])
    ExportSchedule.objects.filter(pk=plan.pk).update(next_run_at=timezone.now())
    schedules.run_due()
    ExportMail.objects.filter(to=ann).update(state="sent")  # while she knew of the case
    for address in (reverse("audit"), reverse("exports")):
        page = as_ann.get(address).content.decode()
        assert "eve@example.com" in page and "ecret" not in page, address
    assert not as_ann.get(reverse("audit"), {"text": "weekly"}).context["lines"]
    as_ann.force_login(eve)
    assert len(as_ann.get(reverse("audit"), {"text": "weekly"}).context["lines"]) == 4


def test_a_bundle_names_no_case_but_its_own_to_whoever_gets_it(eve):
    case, query = Case.objects.get(), urlencode({"q": 'case:"Secret 114" media:voice'})
    for its, named in ((None, False), (make_case(name="Open 7"), False), (case, True)):
        bundle = Bundle.objects.create(by=eve, title="Handed over", query=query, case=its)
        Manifest(bundle, position=1, at=timezone.now()).close()
        told = b"".join(bytes(one.data) for one in BundleText.objects.filter(entry__bundle=bundle))
        assert b"media%3Avoice" in told and (b"Secret" in told) == named


@pytest.mark.parametrize("text", ["case Secret 114", "ecret"])
def test_what_others_looked_for_in_the_trail_is_for_those_who_know_of_every_case(client, ann, eve, text):
    client.force_login(eve)
    b"".join(client.get(reverse("audit_csv"), {"text": text, "action": "exported CSV"}).streaming_content)
    for person, told in ((ann, "…"), (eve, text), (make_user(Role.ADMIN), text)):
        client.force_login(person)
        said = client.get(reverse("audit"), {"action": "exported CSV"}).context["lines"][0].more
        assert said == f"text: {told} · action: exported CSV", person


@pytest.mark.parametrize(
    "text",
    [
        '-case:"Secret 114"', 'case: "Secret 114"', 'case :"Secret 114"', '(case:"Secret 114")', 'case:"Open 7","Secret 114"',
        'media:voice case:Open|"Secret 114"', 'case:“Secret 114', "case: Secret",
    ],
)  # fmt: skip
def test_a_case_that_is_not_read_as_one_is_not_named_either(as_ann, eve, text):
    query = urlencode({"q": text})
    trail.record(
        trail.Entry(actor=eve.email, action=trail.Action.EXPORTED, object=query, detail={"query": query})
    )
    line = as_ann.get(reverse("audit")).context["lines"][0]
    assert "ecret" not in line.object + line.more


def test_no_spelling_of_its_name_finds_what_is_not_shown(as_ann, eve):
    Case.objects.update(name="Müller 7")
    trail.record(
        trail.Entry(actor=eve.email, action=trail.Action.EXPORTED, object=urlencode({"q": 'case:"MÜLLER 7"'}))
    )
    for text in ("M%C3%9CLLER", "LLER+7"):
        assert not as_ann.get(reverse("audit"), {"text": text}).context["lines"]


def test_a_job_and_its_runs_say_their_search_without_a_kept_case(as_ann, eve, tmp_path):
    query = urlencode({"q": 'case:"Secret 114"', "saved": "no"})
    one = make_job(make_archive(tmp_path / "vault"), query=query, created_by=eve)
    run = Run.objects.create(title="Hers", query=query, job=one, started_by=eve.email)
    for address in (reverse("job", args=[one.pk]), reverse("transfers"), reverse("run", args=[run.pk])):
        page = as_ann.get(address).content.decode()
        assert "ecret" not in page, address
        assert "case: …" in page.lower() or "case%3A%E2%80%A6" in page


def test_only_searches_are_left_out_of_what_is_found_by_a_kept_name(as_ann, eve):
    Case.objects.update(name="2026")
    for told in ("retention 2026", urlencode({"q": "case:2026"})):
        trail.record(trail.Entry(actor="eve@example.com", action=trail.Action.EXPORTED, object=told))
    found = as_ann.get(reverse("audit"), {"text": "2026"}).context["lines"]
    assert [line.object for line in found] == ["retention 2026"]


def test_who_may_not_read_what_a_job_searches_for_neither_changes_nor_copies_it(client, eve, tmp_path):
    tenant = make_tenant()
    query = urlencode({"q": 'case:"Secret 114"', "tenant": tenant.pk})
    one = make_job(make_archive(tmp_path / "vault"), query=query, created_by=eve)
    client.force_login(make_user(Role.ADMIN, tenants=[tenant]))
    for address in (reverse("job_edit", args=[one.pk]), f"{reverse('job_new')}?like={one.pk}"):
        page = client.get(address, follow=True).content.decode()
        assert "names a case that you do not work on" in page and "ecret" not in page
    client.post(reverse("job_edit", args=[one.pk]), {"name": "Mine", "query": "saved=no"})
    one.refresh_from_db()
    assert (one.query, one.name != "Mine") == (query, True)
