"""Scheduled exports: made once at their time, told by a mail with a link alone, and never to who may not have them."""

from datetime import UTC, datetime, time, timedelta
from email import message_from_bytes, policy
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recordings.delivery import exporting, mailing, schedules
from recordings.delivery.choices import Choice
from recordings.models import Alert, AuditEntry, Export, ExportMail, ExportSchedule, Role, SavedSearch
from recordings.search import saved
from recordings.search.criteria import Criteria
from recordings.tasks import export_work
from tests.factories import make_case, make_recording, make_tenant, make_user
from tests.services import free_port

pytestmark = pytest.mark.django_db(transaction=True)

Every = ExportSchedule.Every


class Post:
    """What an SMTP server was given; told to, it refuses."""

    def __init__(self):
        self.mails, self.refuses = [], False

    async def handle_DATA(self, server, session, envelope):
        if self.refuses:
            return "451 Try again later"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@pytest.fixture
def post(settings, tmp_path):
    settings.VAR = tmp_path
    handler = Post()
    server = Controller(handler, hostname="127.0.0.1", port=free_port(), ready_timeout=30)
    server.start()
    settings.MAIL_URL = f"smtp://127.0.0.1:{server.port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.ADDRESS = "https://recordings.example.com"
    yield handler
    server.stop()


def scheduled(owner, *, readers=(), query="saved=no", **more):
    search = saved.keep(owner=owner, name="Not saved yet", criteria=Criteria.parse(query), shared=True)
    return schedules.keep(schedule=ExportSchedule(search=search, by=owner, **more), readers=list(readers))


def due(plan):
    ExportSchedule.objects.filter(pk=plan.pk).update(next_run_at=timezone.now() - timedelta(days=3))
    return plan


def run(plan):
    [export_id] = schedules.run_due()
    export_work(export_id)
    return Export.objects.get(pk=export_id)


def test_its_people_get_a_link_and_nothing_of_a_recording(post):
    tenant = make_tenant()
    recording = make_recording(tenant)
    owner, reader = make_user(), make_user(Role.SUPERVISOR)
    export = run(due(scheduled(owner, readers=[reader])))
    assert sorted(to for [to], _ in post.mails) == sorted([owner.email, reader.email])
    for _, mail in post.mails:
        text = mail.get_content()
        assert mail["Subject"] == "Not saved yet: export ready"
        assert "1 row" in text
        assert f"https://recordings.example.com/exports/{export.pk}/file" in text.splitlines()
        assert recording.contact_id not in text and not mail.is_multipart()
    client = Client()
    client.force_login(reader)
    assert client.get(reverse("export_file", args=[export.pk])).status_code == 200
    assert client.post(reverse("export_remove", args=[export.pk])).status_code == 404
    assert f"remove-{export.pk}" not in client.get(reverse("exports")).content.decode()
    assert AuditEntry.objects.filter(action="mailed the link to an export", detail__rows=1).count() == 2


def test_a_missed_time_is_made_up_for_once(post):
    due(scheduled(make_user(), every=Every.DAY))
    assert len(schedules.run_due()) == 1 and schedules.run_due() == []
    assert ExportSchedule.objects.get().next_run_at > timezone.now()


def test_who_may_not_see_all_of_it_is_not_told_and_cannot_fetch_it(post):
    mine, other = make_tenant(), make_tenant()
    case = make_case(recordings=[make_recording(other)])
    narrow, stranger = make_user(Role.SUPERVISOR, tenants=[mine]), make_user(Role.SUPERVISOR)
    query = urlencode({"q": f'case:"{case}"'})  # what a case holds is for who works on cases
    export = run(due(scheduled(make_user(), readers=[narrow, stranger], query=query)))
    assert export.rows == 1
    for reader, problem in ((narrow, "every tenant"), (stranger, "every case")):
        assert reader.email not in [to for [to], _ in post.mails]
        assert problem in ExportMail.objects.get(to=reader).problem
        client = Client()
        client.force_login(reader)
        assert client.get(reverse("export_file", args=[export.pk])).status_code == 404


@pytest.mark.parametrize("change", ["inactive", "no role", "not shared"])
def test_a_schedule_stops_and_says_why_when_its_owner_may_no_longer(post, change):
    owner, search_owner = make_user(Role.SUPERVISOR), make_user()
    search = saved.keep(owner=search_owner, name="Theirs", criteria=Criteria.parse("saved=no"), shared=True)
    plan = due(schedules.keep(schedule=ExportSchedule(search=search, by=owner), readers=[]))
    if change == "inactive":
        owner.is_active = False
        owner.save()
    elif change == "no role":
        owner.groups.clear()
    else:
        saved.change(search=search, name="Theirs", shared=False, actor=search_owner)
    assert schedules.run_due() == [] and not Export.objects.exists()
    plan.refresh_from_db()
    assert plan.next_run_at is None and plan.stopped


def test_a_reader_who_lost_their_role_in_between_gets_nothing(post):
    owner, reader = make_user(), make_user(Role.SUPERVISOR)
    plan = due(scheduled(owner, readers=[reader]))
    [export_id] = schedules.run_due()
    reader.groups.clear()
    export_work(export_id)
    assert [to for [to], _ in post.mails] == [owner.email] and plan.exports.count() == 1


def test_a_mail_server_that_refuses_costs_no_export_and_is_told_at_the_end(post):
    post.refuses = True
    export = run(due(scheduled(make_user())))
    assert export.to_fetch and post.mails == []
    mail = ExportMail.objects.get()
    assert (mail.state, mail.tries) == ("waiting", 1) and "Try again later" in mail.problem
    for _ in mailing.PAUSES:
        ExportMail.objects.update(due_at=timezone.now())
        mailing.send_due()
    mail.refresh_from_db()
    assert mail.state == "failed" and Alert.objects.get(kind="mail").count == 1


def test_a_mail_server_that_comes_back_gets_it_once(post):
    post.refuses = True
    run(due(scheduled(make_user())))
    post.refuses = False
    assert mailing.send_due() == 0  # not before its pause is over
    ExportMail.objects.update(due_at=timezone.now())
    assert (mailing.send_due(), mailing.send_due()) == (1, 0) and len(post.mails) == 1


def test_an_export_that_fails_is_told_to_its_owner_alone(post):
    owner, reader = make_user(), make_user(Role.SUPERVISOR)
    due(scheduled(owner, readers=[reader]))
    [export_id] = schedules.run_due()
    Export.objects.filter(pk=export_id).update(tries=exporting.MOST_TRIES)
    export_work(export_id)
    [(to, mail)] = post.mails
    assert to == [owner.email] and mail["Subject"] == "Not saved yet: export could not be made"


def test_a_search_that_cannot_be_read_any_more_exports_nothing_and_its_owner_is_told_why(post):
    make_recording(make_tenant())
    plan = due(scheduled(make_user()))
    SavedSearch.objects.update(query="saved=maybe")
    export = run(plan)
    assert export.state == "failed" and "“maybe” is no value of saved" in export.problem
    [(_, mail)] = post.mails
    assert "“maybe” is no value of saved" in mail.get_content()


@pytest.mark.parametrize(
    "plan, expected",
    [
        ({"every": Every.DAY}, "2026-03-28 06:00"),
        ({"every": Every.WEEKDAYS}, "2026-03-30 06:00"),
        ({"every": Every.WEEK, "weekday": 6}, "2026-03-29 06:00"),
        ({"every": Every.MONTH, "day": 28}, "2026-03-28 06:00"),
        ({"every": Every.MONTH, "day": 1}, "2026-04-01 06:00"),
    ],
)
def test_times_are_those_of_its_zone_across_daylight_saving(plan, expected):
    plan = ExportSchedule(at=time(6), time_zone="Europe/Berlin", **plan)
    after = datetime(2026, 3, 27, 12, tzinfo=UTC)  # a Friday; the clock changes on Sunday
    local = schedules.next_run(plan, after=after).astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{local:%Y-%m-%d %H:%M}" == expected


def test_it_is_set_up_changed_and_stopped_on_its_page(post):
    owner, reader = make_user(), make_user(Role.SUPERVISOR)
    search = saved.keep(owner=owner, name="Mine", criteria=Criteria.parse("saved=no"))
    client, address = Client(), reverse("search_schedule", args=[search.pk])
    client.force_login(owner)
    form = {
        "every": "week",
        "weekday": "0",
        "day": "1",
        "at": "06:30",
        "time_zone": "Europe/Berlin",
        "readers": [reader.pk],
    }
    assert client.post(address, {**form, "at": ""}).status_code == 422
    assert client.post(address, form).status_code == 302
    plan = ExportSchedule.objects.get()
    assert list(plan.readers.all()) == [reader] and plan.next_run_at
    Choice(columns=("contact_id",), bom=False).remember(owner)
    client.post(address, form)
    plan.refresh_from_db()
    assert (plan.columns, plan.bom) == (["contact_id"], False), (
        "those that were exported last, as the form says"
    )
    assert "every Monday at 06:30, Europe/Berlin" in client.get(reverse("searches")).content.decode()
    assert client.get(address).status_code == 200
    client.post(reverse("search_unschedule", args=[search.pk]))
    assert not ExportSchedule.objects.exists()
    assert AuditEntry.objects.filter(action="stopped a scheduled export").exists()
