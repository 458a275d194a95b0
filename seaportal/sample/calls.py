"""The CSV that CXone would export of the sample's calls: who spoke, for which team, with whom, and how it ended.

It also tells of a few recorded calls that have no file, and holds a few lines that are no good, as real exports do.
"""

import csv
import io
import random
from collections.abc import Iterable
from datetime import datetime, timedelta

from recordings.sea.filename import FileName, parse
from seaportal.sample.plan import Planned

HEADINGS = (
    "ACD Call ID", "Segment ID", "Start Date", "Agent 1 Name", "Agent 1 Team", "Agent 1 Skills", "ANI", "DNIS", "Disposition",
)  # fmt: skip
TEAMS = {
    "Billing": ("Ann Miller", "Jonas Weber", "Priya Nair", "Zoë Ó Néill"),
    "Claims": ("Marek Novák", "Sofia Rossi", "Tom Becker"),
    "Service desk": ("Lena Fischer", "Omar Haddad", "Grace Lee", "Iván Castro"),
    "Retention": ("Ebba Lind", "Daniel Cohen"),
}
SKILLS = {
    "Billing": ("Invoices", "Refunds"),
    "Claims": ("First notice", "Follow-up"),
    "Service desk": ("Password", "Network"),
    "Retention": ("Cancellation",),
}
DISPOSITIONS = ("Resolved", "Resolved", "Resolved", "Call back", "Escalated", "No answer")
LINES = ("0800100200", "0800100201", "0800100300")
WITHOUT_A_FILE = 7
MALFORMED = (
    ("10482299001", "", "not a date", "Ann Miller", "Billing", "Invoices", "", LINES[0], "Resolved"),
    ("", "", "2026-11-02 09:15:00", "Tom Becker", "Claims", "Follow-up", "", LINES[1], "Call back"),
    ("10482299003", "", "2026-11-02 09:15:00", "Grace Lee"),
)


def calls_csv(files: Iterable[Planned], *, seed: str) -> str:
    """Return the CSV of these files' voice segments, times in UTC."""
    rng = random.Random(seed)  # noqa: S311 - a sample, no secret
    parsed = [name for file in files if (name := parse(file.name)) and name.media_type == "VOICE"]
    rows = [_row(seed, name.contact_id, name.item_id, name.started_at) for name in parsed]
    rows += [_missing(seed, name) for name in rng.sample(parsed, min(WITHOUT_A_FILE, len(parsed)))]
    rows += MALFORMED
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    writer.writerows(rows)
    return text.getvalue()


def _row(seed: str, contact: str, segment: str, started_at: datetime) -> tuple[str, ...]:
    """Tell of one segment; all of a contact have the same agent and caller."""
    rng = random.Random(f"{seed} {contact}")  # noqa: S311
    team = rng.choice(list(TEAMS))
    agent = rng.choice(TEAMS[team])
    caller = f"+4930{rng.randrange(10**7):07d}" if rng.random() < 0.9 else "anonymous"
    skill, ended = rng.choice(SKILLS[team]), rng.choice(DISPOSITIONS)
    return (
        contact,
        segment,
        f"{started_at:%Y-%m-%d %H:%M:%S}",
        agent,
        team,
        skill,
        caller,
        rng.choice(LINES),
        ended,
    )


def _missing(seed: str, like: FileName) -> tuple[str, ...]:
    """Tell of a call that was recorded and never reached SEA."""
    contact = f"{int(like.contact_id) + 500_000_000:011d}" if like.contact_id.isdigit() else "10999999999"
    return _row(seed, contact, "", like.started_at + timedelta(minutes=7))
