"""The counts by day of arrival, which triggers keep: folded together, and compared with the recordings themselves.

A catalog of millions is counted in seconds, which is too long for every page; these are read in a millisecond and are exact.
"""

import logging

from django.db import connection

log = logging.getLogger(__name__)

MOST_SPARE = 500  # rows beyond one for each day, before they are folded

SPARE = "SELECT count(*) - count(DISTINCT (tenant_id, day)) FROM recordings_daycount"
# What others add meanwhile is not in this statement's sight and stays as it is; so is what another fold is taking.
FOLD = """
WITH taken AS (DELETE FROM recordings_daycount RETURNING tenant_id, day, seen, in_sea, unsaved, bytes)
INSERT INTO recordings_daycount (tenant_id, day, seen, in_sea, unsaved, bytes)
SELECT tenant_id, day, sum(seen), sum(in_sea), sum(unsaved), sum(bytes) FROM taken GROUP BY tenant_id, day
HAVING (sum(seen), sum(in_sea), sum(unsaved), sum(bytes)) <> (0, 0, 0, 0)
"""
# One statement, so both sides are of one moment.
MEND = """
WITH told AS (
    SELECT tenant_id, day, -seen AS seen, -in_sea AS in_sea, -unsaved AS unsaved, -bytes AS bytes FROM recordings_daycount
    UNION ALL
    SELECT tenant_id, (arrived_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE presence = 'in_sea'),
        count(*) FILTER (WHERE presence = 'in_sea' AND saved_at IS NULL),
        coalesce(sum(size) FILTER (WHERE presence = 'in_sea'), 0)
    FROM recordings_recording GROUP BY 1, 2
)
INSERT INTO recordings_daycount (tenant_id, day, seen, in_sea, unsaved, bytes)
SELECT tenant_id, day, sum(seen), sum(in_sea), sum(unsaved), sum(bytes) FROM told GROUP BY tenant_id, day
HAVING (sum(seen), sum(in_sea), sum(unsaved), sum(bytes)) <> (0, 0, 0, 0)
"""


def fold() -> bool:
    """Fold the rows together when there are many more than days; tell whether that was so."""
    with connection.cursor() as cursor:
        cursor.execute(SPARE)
        if cursor.fetchone()[0] <= MOST_SPARE:
            return False
        cursor.execute(FOLD)
    return True


def mend() -> int:
    """Count the recordings themselves and put right what differs; return how many days did. Seconds in a catalog of millions."""
    with connection.cursor() as cursor:
        cursor.execute(MEND)
        wrong = cursor.rowcount
    if wrong:
        log.error("%s days were counted wrongly and are put right; something wrote past the triggers", wrong)
    return wrong
