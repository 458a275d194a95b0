"""How many a search finds, as PostgreSQL expects: at once, where counting millions would take seconds."""

import json

from recordings.models.recording import RecordingQuerySet
from recordings.search.results import count


def estimated(recordings: RecordingQuerySet) -> int:
    """Return the number of recordings: exact up to the limit of `count`, beyond it what the planner expects."""
    told = count(recordings)
    if told.exact:
        return told.number
    plan = recordings.order_by().values("pk").explain(format="json")
    return max(told.number, int(json.loads(plan)[0]["Plan"]["Plan Rows"]))
