"""kill -9 in the middle of a scan: what it listed is kept, the rest is listed, and nothing is marked gone."""

import signal
import time
from datetime import timedelta
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db.models import F
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import AlreadyScanning, scan
from recordings.models import Alert, AuditEntry, Recording, Scan, Shard
from tests.factories import make_tenant, name_of
from tests.faults.processes import start
from tests.faults.proxy import Proxy, stall

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 600
DAYS = 6
SCAN = """
import sys
from django.core.management import call_command
call_command("scan", tenant=sys.argv[1])
"""


@pytest.fixture
def over():
    """An event until which a server says nothing; what it has not answered by then is nobody's any more."""
    event = Event()
    yield event
    event.set()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)


def place_of(path):
    """Return the key after which a request lists."""
    return parse_qs(urlsplit(path).query)["start-after"][0].removeprefix("recordings/")


def test_a_killed_scan_is_gone_on_with_and_lists_only_the_rest(rclone_s3, over):
    now = timezone.now().replace(microsecond=0)
    for number in range(FILES):
        started = now - timedelta(days=number % DAYS)
        key = name_of(contact=f"{number:011d}", item=f"i{number}", started=started)
        rclone_s3.put(f"recordings/{key}", b"", now - timedelta(days=number % DAYS))
    with Proxy(rclone_s3.endpoint) as proxy:
        tenant = make_tenant(s3=rclone_s3, endpoint=proxy.endpoint)
        for day in range(DAYS // 2):  # the last ones are listed last
            proxy.on(stall(over), query=f"start-after=[^&]*{now - timedelta(days=day):%Y-%m-%d}")
        scanner = start(SCAN, tenant.name)
        wait_for(Recording.objects.filter(tenant=tenant).exists)
        scanner.send_signal(signal.SIGKILL)
        assert scanner.wait() == -signal.SIGKILL
        over.set()
        killed = Scan.objects.get(tenant=tenant)
        kept = Recording.objects.count()
        done_parts = list(Shard.objects.filter(scan=killed).values_list("after", "until"))
        assert killed.state == Scan.State.RUNNING, "the scanner was killed too late to prove anything"
        assert 0 < kept < FILES and done_parts

        with pytest.raises(AlreadyScanning):  # nobody knows yet that it is dead
            scan(tenant=tenant, actor="test")
        Scan.objects.update(beat_at=F("beat_at") - timedelta(minutes=4))
        proxy.heal()
        proxy.asked.clear()
        done = scan(tenant=tenant, actor="test")

    assert (done.pk, done.state, done.seen) == (killed.pk, Scan.State.COMPLETE, FILES)
    rows = Recording.objects.filter(tenant=tenant)
    assert rows.count() == rows.in_sea().count() == FILES
    starts = [place_of(path) for _, path in proxy.asked if "start-after" in path]
    again = [
        start
        for start in starts
        for after, until in done_parts
        if after <= start and (until is None or start < until)
    ]
    assert starts and not again, "what was listed before was listed again"
    again = scan(tenant=tenant, actor="test")
    assert (again.seen, again.new, again.changed, again.gone) == (FILES, 0, 0, 0)


SMALL_LOTS = """
import sys
from recordings.catalog import reconcile, scan, suspects
from recordings.models import Tenant
reconcile.LOT = suspects.LOT = 10
scan.scan(tenant=Tenant.objects.get(name=sys.argv[1]), actor="t")
"""


def test_what_a_scan_killed_while_it_settles_has_marked_is_told_once_and_the_rest_is_settled(rclone_s3, over):
    """A day's worth is gone at once; each lot is marked, alerted and put on the trail together, or not at all."""
    now, gone = timezone.now().replace(microsecond=0), 100
    for number in range(gone + 5):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, b"", now - timedelta(days=31))
    with Proxy(rclone_s3.endpoint) as proxy:
        tenant = make_tenant(s3=rclone_s3, endpoint=proxy.endpoint)
        scan(tenant=tenant, actor="test")
        for row in Recording.objects.order_by("key")[:gone]:
            rclone_s3.delete(f"recordings/{row.key}")
        proxy.on(stall(over), method="HEAD", skip=30)
        expired = Recording.objects.filter(presence="expired")
        scanner = start(SMALL_LOTS, tenant.name)
        wait_for(lambda: expired.count() > 20)
        scanner.send_signal(signal.SIGKILL)
        assert scanner.wait() == -signal.SIGKILL
        over.set()
        marked = expired.count()
        assert 20 < marked < gone

        def told():
            on_trail = AuditEntry.objects.filter(action="found gone from SEA")
            assert on_trail.count() == on_trail.values("recording_id").distinct().count()
            return Alert.objects.get(subject="expired").count, on_trail.count()

        assert told() == (marked, marked)
        Scan.objects.update(beat_at=F("beat_at") - timedelta(minutes=4))
        proxy.heal()
        done = scan(tenant=tenant, actor="test")
    assert (done.state, done.epoch, done.gone) == (Scan.State.COMPLETE, 2, gone)
    assert told() == (gone, gone) == (expired.count(), gone)
    assert not Recording.objects.filter(missed_scans__gt=1).exists(), "a miss is counted once"
    assert trail.verify().intact
