"""The overview answers the one question, in words, figures and a chart that say the same."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.models import Presence, Recording, Role, Run, Scan
from recordings.transfer.runs import start_run
from tests.factories import make_archive, make_job, make_recording, make_tenant

pytestmark = pytest.mark.django_db


def text(client, path="/"):
    response = client.get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def scanned(tenant, *, minutes_ago=5):
    when = timezone.now() - timedelta(minutes=minutes_ago)
    scan = Scan.objects.create(tenant=tenant, state=Scan.State.COMPLETE, finished_at=when, seen=4)
    Scan.objects.filter(pk=scan.pk).update(started_at=when - timedelta(seconds=20))
    return scan


def test_what_is_at_risk_is_the_headline_the_pill_and_the_button(client, sign_in, tenant, some):
    sign_in()
    scanned(tenant)
    page = text(client)
    assert "<em>2 recordings</em> expire within 7 days and are not saved yet" in page
    assert 'data-level="warn"' in page
    assert "2 recordings at risk, the first expires in 9 h 35 min. Show them." in page
    assert "Save all 2 now" in page


def test_the_button_is_not_shown_to_who_may_not_save(client, sign_in, tenant, some):
    sign_in(Role.SUPERVISOR)
    page = text(client)
    assert "Save all 2 now" not in page
    assert "Show them" in page


def test_the_reasons_add_up_to_what_is_at_risk(client, sign_in, tenant, some, archive):
    user = sign_in()
    start_run(
        recordings=Recording.objects.filter(pk=some["risk"].pk),
        archives=[archive],
        actor=user.email,
        title="Save now",
    )
    page = text(client)
    assert "<b>1</b><span>Nobody and no job has asked to save them</span>" in page
    assert "<b>1</b><span>Being saved now</span>" in page
    Run.objects.update(paused_at=timezone.now())
    assert "<b>1</b><span>Waiting: The run is paused until somebody lets it go on.</span>" in text(client)


def test_when_nothing_is_at_risk_it_says_so_calmly(client, sign_in, tenant):
    sign_in()
    scanned(tenant)
    make_recording(tenant, days_left=3, saved=True)
    make_recording(tenant, days_left=20)
    page = text(client)
    assert "Nothing is about to be lost" in page
    assert "1 recording in SEA has no copy yet, each with more than 7 days left." in page
    assert 'data-level="ok"' in page


def test_it_says_whether_what_is_not_saved_will_be_by_itself(client, sign_in, tenant, archive):
    sign_in(Role.ADMIN)
    scanned(tenant)
    make_recording(tenant, days_left=20)
    assert "No transfer job runs by a schedule, so nothing is saved by itself." in text(client)
    job = make_job(archive, every="day", next_run_at=timezone.now().replace(hour=23, minute=59))
    assert ">23:59 UTC</time></a>." in text(client).partition("The next transfer job by schedule: ")[2]
    job.is_on = False
    job.save()
    assert "nothing is saved by itself" in text(client)
    sign_in(tenants=[tenant])
    assert "nothing is saved by itself" not in text(client), "there may be a job that they do not see"


def test_what_was_lost_comes_first(client, sign_in, tenant, some):
    sign_in()
    scanned(tenant)
    make_recording(
        tenant, days_left=-1, presence=Presence.EXPIRED, gone_at=timezone.now() - timedelta(hours=2)
    )
    page = text(client)
    assert "<em>1 recording</em> is lost, 2 more at risk" in page
    assert 'data-level="lost"' in page and "<b>1 lost</b>" in page and 'href="/lost/"' in page


def test_a_server_that_does_not_answer_is_unknown_and_never_green(client, sign_in, tenant):
    sign_in()
    scanned(tenant)
    make_recording(tenant, days_left=20)
    tenant.problem, tenant.problem_since = (
        "The S3 server does not answer.",
        timezone.now() - timedelta(minutes=40),
    )
    tenant.save()
    page = text(client)
    assert "What is at risk is unknown since" in page
    assert 'data-level="unknown"' in page and 'data-level="ok"' not in page
    assert "The S3 server does not answer." in page
    assert f'since <time datetime="{tenant.problem_since.isoformat()}"' in page
    assert "EMEA-1 not listed" in page


def test_a_stale_scan_is_unknown_too(client, sign_in, tenant):
    sign_in()
    scanned(tenant, minutes_ago=300)
    make_recording(tenant, days_left=20)
    page = text(client)
    assert 'data-level="unknown"' in page
    assert "It has not been scanned as planned" in page


def test_a_problem_is_told_beside_what_is_at_risk(client, sign_in, tenant, some):
    sign_in()
    scanned(tenant)
    tenant.problem, tenant.problem_since = "The key was rotated.", timezone.now()
    tenant.save()
    page = text(client)
    assert "EMEA-1 could not be listed, so there may be more." in page
    assert "The key was rotated." in page


def test_somebody_with_one_tenant_counts_only_that_one(client, sign_in, tenant, some):
    other = make_tenant(name="NA-1")
    make_recording(other, days_left=1)
    sign_in(tenants=[other])
    page = text(client)
    assert "<em>1 recording</em> expires within 7 days and is not saved yet" in page
    assert "EMEA-1" not in page


def test_the_first_steps_show_while_nothing_is_connected(client, sign_in, tmp_path):
    sign_in(Role.ADMIN)
    page = text(client)
    assert "Nothing is connected yet" in page
    assert 'data-level="none"' in page
    assert "Make a transfer job" in page and reverse("job_new") not in page, "there is no archive yet"
    archive = make_archive(tmp_path / "main")
    assert f'href="{reverse("job_new")}"' in text(client)
    make_job(archive, name="Nightly", every="day", next_run_at=timezone.now())
    assert "Transfer job made</h2>Nightly" in text(client)


def test_an_empty_folder_is_told_with_both_readings(client, sign_in, tenant):
    sign_in(Role.ADMIN)
    Scan.objects.create(tenant=tenant, state=Scan.State.EMPTY, finished_at=timezone.now())
    page = text(client)
    assert "SEA is empty, so nothing can be lost" in page
    assert "An empty folder and one without access look the same" in page
    assert (
        f'href="{reverse("tenant_edit", args=[tenant.pk])}">test the connection</a>' in page
        and "every 3s" not in page
    )
    Scan.objects.create(tenant=tenant)
    page = text(client)
    assert "The first scan is under way" in page and "every 3s" in page, "it comes to its end by itself"


def test_the_live_part_asks_again_only_while_something_runs(client, sign_in, tenant, some, archive):
    user = sign_in()
    path = reverse("overview_live")
    assert "hx-trigger" not in text(client, path)
    start_run(
        recordings=Recording.objects.filter(pk=some["risk"].pk),
        archives=[archive],
        actor=user.email,
        title="Save now",
    )
    page = text(client, path)
    assert 'hx-trigger="every 2s"' in page and "0 of 1 copy" in page
    assert "<html" not in page


def test_the_table_says_what_the_chart_draws(client, sign_in, tenant, some):
    sign_in()
    page = text(client)
    rows = page.split("The same in numbers")[1].split("</table>")[0]
    assert rows.count("<tr>") - 1 == len({r.expires_at.date() for r in some.values()})
