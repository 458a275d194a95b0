"""Jobs that save by a rule: made of a search, changed, switched, tried without moving anything, and run."""

import re

import pytest
from django.urls import reverse

from recordings.models import AuditEntry, Role, Run, Transfer, TransferJob
from recordings.search.criteria import VIEWS, Criteria
from recordings.trail import Action
from recordings.transfer import jobs
from tests.factories import make_archive, make_job, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "main", name="Main")


def page(response):
    return " ".join(response.content.decode().split())


def typed(archive):
    return {"archives": [archive.pk], "every": "hand", "time_zone": "UTC", "weekday": "0"}


def test_a_job_is_made_of_a_search_and_run(client, archive, told_to_workers):
    admin = make_user(Role.ADMIN)
    client.force_login(admin)
    tenant = make_tenant()
    voice, screen = make_recording(tenant), make_recording(tenant, media_type="SCREEN")
    search = page(client.get("/recordings/?media=SCREEN"))
    form = client.get(re.search(r'href="(/transfers/jobs/new/[^"]+)"', search)[1])
    assert "media: Screen; 1 now" in page(form)
    assert '<option value="day" selected>' in page(form), (
        "a job that runs by hand only would save nothing by itself"
    )
    told = {"name": "Screens", "query": "media=SCREEN", "brought": "media=SCREEN", **typed(archive)}
    client.post(reverse("job_new"), told)
    job = TransferJob.objects.get()
    assert (job.name, job.query, job.created_by) == ("Screens", "media=SCREEN", admin)
    assert AuditEntry.objects.get(action=Action.JOB_ADDED).object == "Screens"
    said = page(client.post(reverse("job_run", args=[job.pk]), follow=True))
    assert "Screens has begun: 1 to save in Main" in said
    assert Transfer.objects.get().recording == screen != voice
    assert any("transfer_work" in message for message in told_to_workers())


def test_a_job_with_nothing_to_save_says_so_and_starts_nothing(client, saver, archive):
    job = make_job(archive, name="Empty", query="saved=no", created_by=saver)
    said = page(client.post(reverse("job_run", args=[job.pk]), follow=True))
    assert "Nothing here needs saving" in said and not Run.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"archives": "999"},
        {"query": "media=FORGED"},
        {"query": ""},
        {"name": "TAKEN"},
        {"every": "cron", "cron": "99 * * * *"},
        {"only_from": "18:00"},
        {"only_from": "18:00", "only_until": "18:00"},
        {"mb_per_second": "0"},
        {"time_zone": "Mars/Olympus"},
    ],
)
def test_a_job_that_cannot_be_made_says_why(client, archive, changes):
    admin = make_user(Role.ADMIN)
    client.force_login(admin)
    make_job(archive, name="Taken", created_by=admin)
    told = {
        "name": "New",
        "query": "media=SCREEN",
        "brought": "media=SCREEN",
        **typed(archive),
    } | changes
    answer = client.post(reverse("job_new"), told)
    assert answer.status_code == 422 and "Ensure this" not in page(answer), "said in the house's own words"
    assert TransferJob.objects.count() == 1


def test_a_job_changed_by_who_sees_some_tenants_reaches_no_others(client, archive):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    make_recording(other)
    job = make_job(archive, query=f"tenant={mine.pk}", created_by=make_user(Role.ADMIN))
    secret = make_job(archive, name="Of other", query="contact_id=12345678903", created_by=job.created_by)
    limited = make_user(Role.ADMIN, tenants=[mine])
    client.force_login(limited)
    told = {"name": "Mine", "query": f"tenant={mine.pk}", **typed(archive)}
    client.post(reverse("job_edit", args=[job.pk]), told)
    job.refresh_from_db()
    assert job.name == "Mine" and job.created_by != limited, "a new name changes nothing of what it finds"
    everything = Criteria().with_view(next(view for view in VIEWS if view.name == "unsaved"))
    client.post(reverse("job_edit", args=[job.pk]), told | {"query": everything})
    job.refresh_from_db()
    assert job.query == everything and not jobs.recordings_of(job).exists()
    assert client.get(f"{reverse('job_new')}?like={secret.pk}").status_code == 404


def test_the_preview_tells_what_would_be_moved_when_and_what_releasing_does(client, archive):
    client.force_login(make_user(Role.ADMIN))
    tenant = make_tenant()
    make_recording(tenant, media_type="SCREEN", size=5_000_000)
    told = {"name": "", "query": "media=SCREEN", "brought": "media=SCREEN", **typed(archive)}
    said = page(
        client.post(reverse("job_preview"), told | {"every": "day", "at": "02:30", "release_after_days": "7"})
    )
    assert "1 copy" in said and "the first expires" in said and "every day at 02:30, UTC" in said
    assert said.count("02:30") >= 2 and "7 days after they were verified" in said
    assert "off for every tenant, so nothing is deleted" in said
    assert "Recordings stay in SEA" in page(client.post(reverse("job_preview"), told))
    assert "Choose an archive to see how many." in page(client.post(reverse("job_preview"), {}))


def test_a_job_is_changed_copied_switched_off_and_removed(client, archive):
    client.force_login(make_user(Role.ADMIN))
    job = make_job(archive, name="Nightly", query="media=SCREEN", every="day")
    told = {
        "name": "Weekly",
        "query": "media=SCREEN",
        **typed(archive),
        "every": "week",
        "weekday": "4",
        "at": "03:15",
    }
    said = page(client.post(reverse("job_edit", args=[job.pk]), told, follow=True))
    assert "Every Friday at 03:15, UTC".lower() in said.lower()
    job.refresh_from_db()
    assert job.next_run_at.weekday() == 4 and AuditEntry.objects.filter(action=Action.JOB_CHANGED).exists()
    assert 'value="Weekly, copy"' in page(client.get(f"{reverse('job_new')}?like={job.pk}"))
    for _ in range(2):  # pressed twice, or by two people, a button does what it says
        client.post(reverse("job_switch", args=[job.pk]), {"on": "no"})
    job.refresh_from_db()
    assert not job.is_on and job.next_run_at is None
    client.post(reverse("job_remove", args=[job.pk]))
    assert not TransferJob.objects.exists()


def test_a_job_is_switched_in_the_list_by_who_may_set_up(client, archive):
    job = make_job(archive, name="Nightly", query="media=SCREEN", every="day")
    client.force_login(make_user(Role.ADMIN))
    assert 'aria-checked="true" aria-label="Schedule of Nightly"' in page(client.get(reverse("transfers")))
    told = client.post(reverse("job_switch", args=[job.pk]), {"back": "transfers"}, follow=True)
    assert told.redirect_chain == [(reverse("transfers"), 302)]
    assert "Nightly is off." in page(told) and 'aria-checked="false"' in page(told)
    client.force_login(make_user(Role.COMPLIANCE))
    said = page(client.get(reverse("transfers")))
    assert ">Off</td>" in said and 'role="switch"' not in said


def test_however_its_search_is_spelt_a_job_keeps_it_when_it_is_changed(client, archive):
    client.force_login(make_user(Role.ADMIN))
    job = make_job(archive, query="presence=in_sea&saved=no&media=SCREEN")
    assert page(client.get(reverse("job_edit", args=[job.pk]))).count('name="query"') == 3
    chosen = client.get(reverse("job_edit", args=[job.pk])).context["chosen"]
    assert Criteria.parse(chosen) == Criteria.parse(job.query)
    assert f'value="{chosen.replace("&", "&amp;")}" checked' in page(
        client.get(reverse("job_edit", args=[job.pk]))
    )
    for query in ("saved=no&presence=in_sea&sort=expiry", "presence=in_sea&saved=no&sort=expiry"):
        TransferJob.objects.update(query=query)
        told = page(client.get(reverse("job_edit", args=[job.pk])))
        assert told.count('name="query"') == 2 and "The search that you came from" not in told


def test_a_job_with_runs_stays(client, archive):
    client.force_login(make_user(Role.ADMIN))
    job = make_job(archive, query="saved=no")
    make_recording(make_tenant())
    client.post(reverse("job_run", args=[job.pk]))
    assert "part of the record" in page(client.post(reverse("job_remove", args=[job.pk]), follow=True))
    assert TransferJob.objects.exists()


def test_a_dry_run_moves_nothing(client, saver, archive):
    job = make_job(archive, query="saved=no")
    assert "nothing to save now" in page(client.post(reverse("job_dry_run", args=[job.pk]), follow=True))
    make_recording(make_tenant())
    assert "1 copy, 1 kB" in page(client.post(reverse("job_dry_run", args=[job.pk]), follow=True))
    assert not Run.objects.exists()
