"""Which column of a CSV is what. CXone's headings vary with report and version, so people have the last word."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class MappingRefused(Exception):
    """The columns cannot be imported like this."""


@dataclass(frozen=True)
class Field:
    """Something that the portal wants to know of a segment."""

    name: str
    label: str
    headings: tuple[str, ...]  # bare forms under which CXone's reports give it
    several: bool = False  # several columns may be it: their texts are joined


FIELDS = (
    Field("contact_id", "Contact ID", (
        "acdcallid", "acdcontactid", "contactid", "callid", "contact", "acdid", "interactionid", "contactno")),
    Field("master_id", "Master contact ID", ("mastercontactid", "masterid", "mastercontact", "mastercontactno")),
    Field("item_id", "Segment ID", ("segmentid", "segment", "segmentguid", "recordingsegmentid", "segmentcontactid")),
    Field("started", "Start", (
        "startdate", "starttime", "startdatetime", "starteddate", "started", "startedat", "segmentstarttime", "contactstart",
        "contactstartdate", "segmentstart", "callstart", "date", "recordingstartdate", "starttimeutc", "startdateutc")),
    Field("started_time", "Time of day of the start", ("startclock", "starttimeofday", "time")),
    Field("agent", "Agent", ("agent1name", "agentname", "agent", "agentfullname", "agent2name", "agent3name"), True),
    Field("team", "Team", ("agent1team", "agentteam", "team", "teamname", "agent2team", "agent3team"), True),
    Field("skill", "Skills", (
        "agent1skills", "agent1skill", "skills", "skill", "skillname", "agentskills", "agent2skills", "agent3skills"), True),
    Field("ani", "Caller (ANI)", ("ani", "from", "caller", "callernumber", "fromaddress", "customernumber", "callerid")),
    Field("dnis", "Called number (DNIS)", ("dnis", "to", "dialednumber", "dialled", "callednumber", "toaddress", "pointofcontact")),
    Field("disposition", "Disposition", (
        "disposition", "dispositionname", "primarydisposition", "outcome", "secondarydisposition"), True),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}
# Terms: texts that many segments share.
SHARED = ("agent", "team", "skill", "dnis", "disposition")
ORDERS = {
    "dmy": "Day first: 3/11/2026 is 3 November",
    "mdy": "Month first: 3/11/2026 is 11 March",
}


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """What each column is, in the order of the file, and how its dates are meant."""

    columns: tuple[str, ...]  # the name of a field, or '' for a column that is left out
    order: str = "mdy"  # of dates that do not begin with the year
    zone: str = "UTC"  # of dates that do not name their own

    def __post_init__(self) -> None:
        """Check it. Raises MappingRefused."""
        if strange := set(self.columns) - {"", *BY_NAME}:
            raise MappingRefused(f"There is no field called {', '.join(sorted(strange))}.")
        if "contact_id" not in self.columns:
            raise MappingRefused("Say which column holds the contact ID: it is what recordings are found by.")
        for field in FIELDS:
            if self.columns.count(field.name) > 1 and not field.several:
                raise MappingRefused(f"Two columns are said to be {field.label}. Choose one of them.")
        if "started_time" in self.columns and "started" not in self.columns:
            raise MappingRefused("A time of day needs the column of its date: say which one is Start.")
        if self.order not in ORDERS:
            raise MappingRefused("Say whether the day or the month comes first in a date.")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise MappingRefused(
                f"There is no time zone {self.zone[:60]!r}. Write one such as Europe/Berlin."
            ) from error

    def kept(self) -> dict[str, Any]:
        """Return it as the database keeps it."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Mapping":
        """Return what the database kept. Raises MappingRefused."""
        return cls(columns=tuple(kept["columns"]), order=kept["order"], zone=kept["zone"])

    def positions(self, name: str) -> tuple[int, ...]:
        """Return the columns that are this field."""
        return tuple(place for place, column in enumerate(self.columns) if column == name)


def bare(heading: str) -> str:
    """Return a heading without what differs from report to report: capitals, spaces, signs, units in brackets."""
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", heading).lower())


def guess(headings: Sequence[str]) -> tuple[str, ...]:
    """Say what each column probably is; the first that fits a field is it, and a master ID serves where no other is."""
    found = [""] * len(headings)
    bares = [bare(heading) for heading in headings]
    for field in FIELDS:
        for known in field.headings:
            for place, text in enumerate(bares):
                taken = field.name in found and not field.several
                if text == known and not found[place] and not taken:
                    found[place] = field.name
    if "contact_id" not in found and "master_id" in found:
        found[found.index("master_id")] = "contact_id"
    if "starttime" in bares and "startdate" in bares:
        found[bares.index("starttime")] = "started_time"
    return tuple(found)


def signature(headings: Sequence[str]) -> str:
    """Return what a mapping is remembered by: the headings, in their order."""
    return hashlib.sha256("\x1f".join(bare(heading) or heading for heading in headings).encode()).hexdigest()
