"""Parse again: read the names that no earlier parser understood, after the parser has learned more.

Only unparsed rows are touched, and of them only the parts of the name; presence, copies and times stay as they are. What is on
legal hold stays as it is, and is counted.
"""

import logging
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from recordings import trail
from recordings.catalog.contacts import learn_names
from recordings.models import Kind, NameReading, Recording, Tenant
from recordings.models.hold import RECORDING_HELD
from recordings.models.release import locked_policies
from recordings.sea.filename import parse
from recordings.trail.alerts import resolve

log = logging.getLogger(__name__)

BATCH = 5_000
LATE = timedelta(minutes=2)  # a reading without a sign of life for so long is taken up again

ROUNDS = 3

# The next names, in the order of the index of unparsed rows.
NEXT = """
SELECT id, key, first_seen_at FROM recordings_recording
WHERE tenant_id = %(tenant)s AND started_at IS NULL AND (first_seen_at, id) > (%(seen)s, %(id)s)
ORDER BY first_seen_at, id LIMIT %(batch)s
"""
# Locked without waiting, so that a scan that writes the same rows in another order never waits in a circle with this.
# What it holds just then is left for the next round.
UNDERSTOOD = """
WITH free AS (
    SELECT r.id FROM recordings_recording r
    WHERE r.id = ANY(%(id)s::bigint[]) AND r.started_at IS NULL FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE recordings_recording r
SET started_at = n.started_at, contact_id = n.contact_id, media_type = n.media_type, media_raw = n.media_raw, item_id = n.item_id
FROM free, unnest(
    %(id)s::bigint[], %(started_at)s::timestamptz[], %(contact_id)s::text[], %(media_type)s::text[], %(media_raw)s::text[],
    %(item_id)s::text[]
) AS n(id, started_at, contact_id, media_type, media_raw, item_id)
WHERE r.id = free.id AND r.id = n.id
"""
# What is held stays as it is. A name has no contact yet, so a hold on one covers it only once it is read.
HELD = f"""
SELECT r.id FROM recordings_recording r
WHERE r.id = ANY(%(id)s::bigint[]) AND r.started_at IS NULL AND {RECORDING_HELD}
"""
PARTS = ("started_at", "contact_id", "media_type", "media_raw", "item_id")
BUSY = "A scan was writing some of the rows just then. Ask again for these."
BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


class AlreadyReading(Exception):
    """The names of this tenant are being read again already. Wait until that has ended."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def ask(*, tenant: Tenant, actor: str) -> NameReading:
    """Write down that a tenant's names are to be read again. Raises AlreadyReading while that is going on."""
    try:
        with transaction.atomic():
            return NameReading.objects.create(tenant=tenant, asked_by=actor)
    except IntegrityError as error:
        raise AlreadyReading from error


def forgotten() -> list[NameReading]:
    """Return the readings that nobody works on: their message was lost, or their worker died."""
    return list(NameReading.objects.filter(finished_at=None, beat_at__lt=timezone.now() - LATE))


def parse_again(*, reading: NameReading) -> NameReading:
    """Read a tenant's unparsed names in batches and keep what is understood now; return the ended reading.

    A doubled message does no harm, and a reading whose worker died is taken up by the next: rows that are understood are
    no longer unparsed, each is read by one of the two, and a reading that has ended stays so.
    """
    mine = NameReading.objects.filter(pk=reading.pk, finished_at=None)
    try:
        held = mine.exists()
        for number in range(ROUNDS if held else 0):
            if not (held := _round(reading, first=number == 0)):
                break
        left = Recording.objects.filter(tenant=reading.tenant).unparsed().exists()
    except BaseException:
        mine.update(
            finished_at=Now(), problem="It broke off inside the portal; the worker's log says why. Ask again."
        )
        log.exception("Reading the names of %s again broke off", reading.tenant)
        raise
    with transaction.atomic():
        if mine.update(finished_at=Now(), beat_at=Now(), problem=BUSY if held else ""):
            reading.refresh_from_db()
            if not left:
                resolve(kind=Kind.UNPARSED, tenant=reading.tenant)
            trail.record(
                trail.Entry(
                    actor=reading.asked_by, action=trail.Action.PARSED_AGAIN, object=reading.tenant.name,
                    detail={"read": reading.read, "understood": reading.understood, "held": reading.held},
                )
            )  # fmt: skip
    reading.refresh_from_db()
    return reading


def _round(reading: NameReading, *, first: bool) -> bool:
    """Go over the names once; return whether some that are understood were held by a scan just then."""
    seen, pk, held = BEGINNING, 0, False
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NEXT, {"tenant": reading.tenant_id, "seen": seen, "id": pk, "batch": BATCH})
            rows = cursor.fetchall()
            names = [(row[0], name) for row in rows if (name := parse(row[1]))]
            understood, kept = 0, set[int]()
            if names:
                locked_policies([reading.tenant_id])
                cursor.execute(HELD, {"id": [pk for pk, _ in names]})
                kept = {row[0] for row in cursor.fetchall()}
                names = [(pk, name) for pk, name in names if pk not in kept]
            if names:
                columns = {part: [getattr(name, part) for _, name in names] for part in PARTS}
                cursor.execute(UNDERSTOOD, {"id": [pk for pk, _ in names], **columns})
                understood = cursor.rowcount
                learn_names(columns["contact_id"])
            held = held or understood < len(names)
            alive = NameReading.objects.filter(pk=reading.pk, finished_at=None).update(
                beat_at=Now(),
                read=F("read") + len(rows) * first,
                understood=F("understood") + understood,
                held=F("held") + len(kept) * first,
            )
        if not rows or not alive:
            return held and bool(alive)
        pk, _, seen = rows[-1]
