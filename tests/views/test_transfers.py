"""Watching what is saved, run by run: how far it is, what failed and is tried again, who may pause it and who sees it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recordings.models import (
    Archive,
    AuditEntry,
    Presence,
    Recording,
    Role,
    Run,
    RunManifest,
    Transfer,
    TransferJob,
)
from recordings.stores.base import StoreFull
from recordings.trail import Action
from recordings.transfer import lanes, queue, runs
from tests.factories import make_archive, make_job, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)
LIVE = 'hx-trigger="every 2s"'


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "main", name="Main")


def start(archive: Archive, *recordings: Recording, query: str = "", title: str = "A run") -> Run:
    chosen = Recording.objects.filter(pk__in=[one.pk for one in recordings])
    return runs.start_run(
        recordings=chosen, archives=[archive], actor="ada@example.com", title=title, query=query
    )


def settle(run: Run, state: str, **changes):
    run.transfers.filter(state="queued").update(state=state, finished_at=timezone.now(), **changes)
    runs.close_if_done(run)


def fail(run: Run, recording: Recording, reason: str, code: str):
    run.transfers.filter(recording=recording).update(
        state="failed", reason=reason, reason_code=code, attempts=3, finished_at=timezone.now()
    )


def page(response):
    return " ".join(response.content.decode().split())


def test_a_running_run_tells_how_far_it_is_and_is_asked_for_again(client, saver, archive):
    tenant = make_tenant()
    rows = [make_recording(tenant, size=1_000_000) for _ in range(4)]
    run = start(archive, *rows)
    run.transfers.filter(recording__in=rows[:2]).update(state="verified", finished_at=timezone.now())
    fail(run, rows[2], "The copy differs.", "differs")
    for address in (reverse("transfers"), reverse("run", args=[run.pk]), reverse("run_live", args=[run.pk])):
        said = page(client.get(address))
        assert "75 %" in said and "2 of 4 copies saved, 2.0 MB of 4.0 MB" in said
        assert LIVE in said
    assert "<html" not in said, "the last one is the fragment"


def test_a_run_that_ended_is_not_asked_for_again(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    settle(run, "verified")
    said = page(client.get(reverse("run_live", args=[run.pk])))
    assert "100 %" in said and "All saved and verified" in said and LIVE not in said


def test_nothing_in_the_live_part_can_hold_the_focus(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    said = page(client.get(reverse("run_live", args=[run.pk])))
    assert not any(tag in said for tag in ("<a ", "<button", "<input", "tabindex"))


def test_what_makes_a_run_wait_is_told(client, saver, archive):
    tenant = make_tenant()
    run = start(archive, make_recording(tenant))
    lanes.pause(end=lanes.End("archive", archive.pk), error=StoreFull())
    said = page(client.get(reverse("run_live", args=[run.pk])))
    assert "Waiting" in said and "disk or quota is full" in said and "no try is counted" in said


def test_failures_are_grouped_by_reason_soonest_expiry_first(client, saver, archive):
    tenant = make_tenant()
    late, soon, middle = (make_recording(tenant, days_left=days) for days in (20, 1.5, 9))
    run = start(archive, late, soon, middle)
    fail(run, late, "The copy differs from its source. (9 bytes)", "differs")
    fail(run, soon, "The source closed the connection. (12 of 40 bytes)", "short")
    fail(run, middle, "The copy differs from its source. (7 bytes)", "differs")
    runs.close_if_done(run)
    response = client.get(reverse("run", args=[run.pk]))
    assert [(g["number"], g["said"]) for g in response.context["groups"]] == [
        (1, "The source closed the connection."),
        (2, "The copy differs from its source."),
    ]
    assert [one.recording for one in response.context["failures"]] == [soon, middle, late]
    assert "Ended, not all is saved" in page(response)
    only = client.get(f"{reverse('run', args=[run.pk])}?reason=differs")
    assert [one.recording for one in only.context["failures"]] == [middle, late]


def test_retry_queues_what_failed_and_tells_the_workers(client, saver, archive, told_to_workers):
    tenant = make_tenant()
    kept, gone = make_recording(tenant), make_recording(tenant)
    run = start(archive, kept, gone)
    settle(run, "failed", reason="It failed.", reason_code="x")
    Recording.objects.filter(pk=gone.pk).update(presence=Presence.VANISHED, gone_at=timezone.now())
    assert "Retry 1" in page(client.get(reverse("run", args=[run.pk])))
    said = page(client.post(reverse("run_retry", args=[run.pk]), follow=True))
    assert "1 is being tried again" in said and LIVE in said
    assert run.transfers.get(state="queued").recording == kept
    assert any("transfer_work" in message for message in told_to_workers())
    assert AuditEntry.objects.get(action=Action.RETRIED).actor == saver.email


def test_a_retry_with_nothing_left_says_so(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    settle(run, "verified")
    assert "Nothing is left to try again" in page(
        client.post(reverse("run_retry", args=[run.pk]), follow=True)
    )


def test_without_an_archive_the_page_says_what_to_do(client, saver):
    assert "There is no archive yet" in page(client.get(reverse("transfers")))


def test_past_runs_page_by_page(client, saver, archive):
    ended = timezone.now()
    for number in range(30):
        Run.objects.create(title=f"Run {number:02d}", started_by="x", finished_at=ended)
    first = client.get(reverse("transfers"))
    second = client.get(f"{reverse('transfers')}?before={first.context['older']}")
    titles = [live.run.title for response in (first, second) for live in response.context["past"]]
    assert titles == [f"Run {number:02d}" for number in range(29, -1, -1)]


def test_a_supervisor_looks_and_cannot_act(client, archive):
    run = start(archive, make_recording(make_tenant(), days_left=3))
    settle(run, "failed", reason="It failed.", reason_code="x")
    client.force_login(make_user(Role.SUPERVISOR))
    said = page(client.get(reverse("run", args=[run.pk])))
    assert "It failed." in said and "Retry" not in said
    assert "New job" not in page(client.get(reverse("transfers")))


def test_who_sees_some_tenants_sees_runs_and_jobs_of_those_only(client, archive):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    maker = make_user(Role.ADMIN)
    own = start(archive, make_recording(mine), title="Run of mine")
    theirs = start(archive, make_recording(other), title="Run of other")
    mixed = start(archive, make_recording(mine), make_recording(other), title="Run of both")
    for name, query in (
        ("Job of mine", f"tenant={mine.pk}"),
        ("Job of other", f"tenant={other.pk}"),
        ("Job of all", ""),
    ):
        make_job(archive, name=name, query=query, created_by=maker)
    client.force_login(make_user(Role.COMPLIANCE, tenants=[mine]))
    said = page(client.get(reverse("transfers")))
    assert "Run of mine" in said and "Job of mine" in said
    assert not any(word in said for word in ("Run of other", "Run of both", "Job of other", "Job of all"))
    assert client.get(reverse("run", args=[own.pk])).status_code == 200
    for run in (theirs, mixed):
        assert client.get(reverse("run_live", args=[run.pk])).status_code == 404
        assert client.post(reverse("run_retry", args=[run.pk])).status_code == 404
    asked = start(archive, make_recording(mine), query=f"tenant={mine.pk}&tenant={other.pk}")
    said = page(client.get(reverse("run", args=[asked.pk])))
    assert "Mine" in said and "Other" not in said  # a number that somebody put into a search names nobody
    Run.objects.filter(pk=mixed.pk).update(
        job=TransferJob.objects.get(name="Job of mine"), finished_at=timezone.now()
    )
    assert reverse("run", args=[mixed.pk]) not in page(
        client.get(reverse("transfers"))
    )  # its search was another then
    hidden = TransferJob.objects.get(name="Job of all")
    assert client.post(reverse("job_run", args=[hidden.pk])).status_code == 404


def test_the_list_takes_no_more_statements_for_more_jobs(
    client, saver, archive, django_assert_max_num_queries
):
    for number in range(12):
        make_job(archive, name=f"Job {number}", query="saved=no", created_by=saver)
    start(archive, make_recording(make_tenant(), days_left=timedelta(days=2).days))
    with django_assert_max_num_queries(32):
        client.get(reverse("transfers"))


def test_a_run_is_paused_goes_on_and_is_cancelled(client, saver, archive, told_to_workers):
    run = start(archive, make_recording(make_tenant()))
    said = page(client.post(reverse("run_pause", args=[run.pk]), follow=True))
    assert (
        "Paused" in said
        and "Go on" in said
        and "Time left" not in said
        and queue.claim(owner="a:1", limit=9) == []
    )
    said = page(client.post(reverse("run_resume", args=[run.pk]), follow=True))
    assert "goes on" in said and any("transfer_work" in message for message in told_to_workers())
    said = page(client.post(reverse("run_cancel", args=[run.pk]), follow=True))
    assert "copies that were made stay" in said and "Cancelled" in said
    said = page(client.get(reverse("transfers")))
    assert "Cancelled" in said and "1 not saved" in said and "All verified" not in said
    assert Transfer.objects.get().state == "dropped" and queue.claim(owner="a:1", limit=9) == []
    assert {"paused a run", "resumed a run", "cancelled a run"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


def test_a_run_that_has_ended_is_not_said_to_be_cancelled(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    settle(run, "verified")
    said = page(client.post(reverse("run_cancel", args=[run.pk]), follow=True))
    assert "has ended already" in said and "was cancelled" not in said


def test_every_run_that_is_under_way_is_in_sight_and_counted(client, saver, archive, monkeypatch):
    monkeypatch.setattr("recordings.views.transfers.MOST_RUNNING", 1)
    old, new = (start(archive, make_recording(make_tenant()), title=title) for title in ("Older", "Newer"))
    said = page(client.get(reverse("transfers")))
    assert "2 runs are under way. Soonest" in said and said.count(LIVE) == 1
    assert said.index(reverse("run", args=[new.pk])) < said.index(reverse("run", args=[old.pk]))


def test_on_the_overview_what_is_paused_comes_after_what_saves_and_the_rest_is_counted(
    client, saver, archive, monkeypatch
):
    monkeypatch.setattr("recordings.views.overview.MOST_RUNS", 1)
    start(archive, make_recording(make_tenant()), title="Saves")
    runs.pause(run=start(archive, make_recording(make_tenant()), title="Paused"), actor="ada@example.com")
    said = page(client.get(reverse("overview_live")))
    assert ">Saves</a>" in said and ">Paused</a>" not in said and "1 more run is open" in said
    assert "2 runs are under way, 1 of them paused." in page(client.get(reverse("transfers")))


def test_one_reason_is_tried_again_and_others_rest(client, saver, archive):
    first, second = make_recording(make_tenant()), make_recording(make_tenant())
    run = start(archive, first, second)
    fail(run, first, "It differs.", "differs")
    fail(run, second, "It is short.", "short")
    client.post(reverse("run_retry", args=[run.pk]), {"reason": "short"})
    assert dict(run.transfers.values_list("reason_code", "state")) == {"differs": "failed", "short": "queued"}


def test_a_manifest_is_streamed_and_who_took_it_is_kept(client, saver, archive):
    run = start(archive, make_recording(make_tenant(), size=1000))
    assert reverse("manifest_csv", args=[run.pk]) in page(client.get(reverse("run", args=[run.pk])))
    for name, kind in (("manifest_csv", "text/csv"), ("manifest_jsonl", "application/jsonl")):
        response = client.get(reverse(name, args=[run.pk]))
        assert response.streaming and response["Content-Type"].startswith(kind)
        assert f"run-{run.pk}-manifest." in response["Content-Disposition"]
        assert b"queued" in b"".join(response.streaming_content)
    assert [one.detail for one in AuditEntry.objects.filter(action=Action.EXPORT_SENT)] == [{"rows": 1}] * 2
    kept = AuditEntry.objects.filter(action=Action.EXPORTED)
    assert {(one.actor, one.object) for one in kept} == {(saver.email, f"manifest of run {run.pk}")}


def test_while_a_run_goes_on_its_page_is_told_of_failures_and_of_what_may_be_done(client, saver, archive):
    tenant = make_tenant()
    rows = [make_recording(tenant, days_left=days) for days in (5, 4, 3)]
    run = start(archive, *rows)
    followed = reverse("run_follow", args=[run.pk])
    assert LIVE in page(client.get(followed)) and followed in page(client.get(reverse("run", args=[run.pk])))
    fail(run, rows[0], "It differs. (9 bytes)", "differs")
    fail(run, rows[1], "It is short.", "short")
    said = page(client.get(followed))
    for part in ("run-actions", "run-manifest", "run-outcome"):
        assert f'id="{part}" hx-swap-oob="true"' in said
    assert said.count("Retry 1") == 2 and "Retry all 2" in said and 'id="retry-short"' in said
    only = page(client.get(f"{followed}?reason=short"))
    assert 'id="retry-all"' in only and "Retry all 2" not in only and f"{followed}?reason=short" in only
    client.force_login(make_user(Role.SUPERVISOR))
    assert "Retry" not in page(client.get(followed))


def test_the_last_answer_of_a_run_brings_all_that_its_end_changes(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    assert "hx-swap-oob" not in page(client.get(reverse("run_live", args=[run.pk])))
    settle(run, "failed", reason="The disk is full.", reason_code="store_full")
    ended = page(client.get(reverse("run_follow", args=[run.pk])))
    for part in ("run-actions", "run-manifest", "run-outcome"):
        assert f'id="{part}" hx-swap-oob="true"' in ended
    assert LIVE not in ended and "Pause" not in ended and "The disk is full." in ended and "Retry" in ended
    whole = page(client.get(reverse("run", args=[run.pk])))
    assert "hx-swap-oob" not in whole and whole.count('id="run-outcome"') == 1


def test_each_lane_is_shown_with_its_state_also_when_there_is_one(client, saver, archive):
    run = start(archive, make_recording(make_tenant(name="EMEA-1")))
    said = page(client.get(reverse("run_live", args=[run.pk])))
    assert "EMEA-1 to Main" in said and "Open" in said
    lanes.pause(end=lanes.End("archive", archive.pk), error=StoreFull())
    said = page(client.get(reverse("run_live", args=[run.pk])))
    assert "Waits" in said and "Open" not in said and said.count("disk or quota is full") == 2


def test_past_runs_are_shown_as_counted_at_their_end_and_not_counted_again(client, saver, archive):
    tenant = make_tenant()
    for number in range(3):
        rows = [make_recording(tenant, size=1_000_000) for _ in range(3)]
        run = start(archive, *rows, title=f"Run {number}")
        fail(run, rows[0], "It differs.", "differs")
        settle(run, "verified")
    with CaptureQueriesContext(connection) as asked:
        said = page(client.get(reverse("transfers")))
    assert said.count("Not all saved") == 3 and said.count('data-label="size">2.0 MB<') == 3
    assert not [
        one["sql"] for one in asked if "count" in one["sql"].lower() and '"recordings_transfer"' in one["sql"]
    ]
    assert runs.retry(run=run, actor="t") == 1, "it goes on, and is counted while it does"
    run.refresh_from_db()
    assert (runs.progress(run).remaining, runs.progress(run).failed) == (1, 0)
    settle(run, "verified")
    run.refresh_from_db()
    assert (run.verified, run.failed, run.verified_bytes) == (3, 0, 3_000_000)


def test_where_a_manifest_lies_and_what_keeps_it_from_an_archive_is_told(client, saver, archive):
    run = start(archive, make_recording(make_tenant()))
    settle(run, "verified")
    assert "It is being written to Main too" in page(client.get(reverse("run", args=[run.pk])))
    filed = run.manifests.get()
    RunManifest.objects.update(problem="The archive is full.")
    said = page(client.get(reverse("run", args=[run.pk])))
    assert (
        "could not be written to Main: The archive is full. It is tried again" in said and "All saved" in said
    )
    RunManifest.objects.filter(pk=filed.pk).update(
        written_at=timezone.now(), path="manifests/x.jsonl", sha256="ab" * 32, size=7, problem=""
    )
    said = page(client.get(reverse("run", args=[run.pk])))
    assert "manifests/x.jsonl" in said and "ab" * 32 in said
