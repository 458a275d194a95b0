"""Keep the list of known contact IDs up to date, beside the scans: what was not learned yet is searched for itself.

Recordings are numbered when they are written and seen when they are committed, so a low number can turn up late. Whoever
writes holds a lock on the table from before the first number until the end: once all who held one when the highest number
was seen have ended, every number up to it is decided.
"""

from django.db import connection, transaction

from recordings.models.known_contact import PIECE

STEP = 300_000  # recordings learned in one transaction

FIRST = (
    "INSERT INTO recordings_contactmark (id, known_to, waits_for) VALUES (1, 0, '{}') ON CONFLICT DO NOTHING"
)
MARK = "SELECT known_to, next_to, waits_for FROM recordings_contactmark WHERE id = 1 FOR UPDATE SKIP LOCKED"
HIGHEST = "SELECT max(id) FROM recordings_recording WHERE id > %s"
NOTE = """
UPDATE recordings_contactmark SET next_to = %s, waits_for = (
    SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'recordings_recording'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) WHERE id = 1
"""
SETTLED = "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE virtualtransaction = ANY(%s))"
INSERT = f"""
INSERT INTO recordings_knowncontact (contact_id, pieces)
SELECT contact_id, ARRAY(
    SELECT DISTINCT substr(contact_id, n, {PIECE}) FROM generate_series(1, greatest(1, length(contact_id) - {PIECE - 1})) n
) FROM (SELECT DISTINCT contact_id FROM {{seen}} WHERE contact_id <> '') seen
ON CONFLICT DO NOTHING
"""
LEARN = INSERT.format(seen="(SELECT contact_id FROM recordings_recording WHERE id > %s AND id <= %s) written")
LEARN_THESE = INSERT.format(seen="unnest(%s::text[]) contact_id")
MOVE = "UPDATE recordings_contactmark SET known_to = %(to)s, next_to = nullif(next_to, %(to)s) WHERE id = 1"


def learn() -> bool:
    """Learn the next contact IDs; tell whether to go on at once. Harmless when two do it at the same time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FIRST)
        cursor.execute(MARK)
        row = cursor.fetchone()
        if row is None:
            return False  # somebody else is at it
        known_to, next_to, waits_for = row
        if next_to is None:
            cursor.execute(HIGHEST, [known_to])  # first, and the locks in a statement after it
            (highest,) = cursor.fetchone()
            if highest is not None:
                cursor.execute(NOTE, [highest])
            return highest is not None
        cursor.execute(SETTLED, [waits_for])
        if not cursor.fetchone()[0]:
            return False
        to = min(next_to, known_to + STEP)
        cursor.execute(LEARN, [known_to, to])
        cursor.execute(MOVE, {"to": to})
        return True


def learn_names(contact_ids: list[str]) -> None:
    """Learn contact IDs of names that were understood later: their recordings have old numbers. Call it where they are written."""
    with connection.cursor() as cursor:
        cursor.execute(LEARN_THESE, [contact_ids])
