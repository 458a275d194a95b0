"""What the API answers, field by field."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from recordings.models import LookupRow, Recording

MOST_IDS = 1000


YesNo = Literal["yes", "no"]
Day = Annotated[date, BeforeValidator(lambda told: _day(told))]
Words = list[Annotated[str, StringConstraints(max_length=200)]]


def _day(told: Any) -> Any:
    """Refuse what pydantic would take for a day as well, such as seconds since 1970."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(told)):
        raise ValueError("write it as 2026-11-03")
    return told


class SearchIn(Schema):
    """A search, in the words of the page Recordings."""

    # search.criteria reads them for both.

    q: str = Field("", max_length=2000, description="Contact IDs, file names, words such as agent:Ann")
    started_from: Day | None = Field(None, alias="from", description="First UTC day")
    started_to: Day | None = Field(None, alias="to", description="Last UTC day")
    media: Words = Field([], description="VOICE, SCREEN and so on; unparsed for names of no known pattern")
    presence: list[Literal["in_sea", "released", "expired", "vanished"]] = Field(
        [], description="in_sea, released, expired or vanished; several widen the search"
    )
    saved: YesNo | None = Field(None, description="yes or no")
    playable: YesNo | None = Field(None, description="yes or no, of what was looked into")
    expires: int | None = Field(None, ge=1, le=30, description="In SEA, with at most this many days left")
    tenant: list[Annotated[int, Field(ge=1, le=2**62)]] = Field([], description="Numbers of tenants")
    agent: Words = Field([], description="Part of an agent's name, as call metadata has it")
    team: Words = Field([], description="Part of a team's name")
    skill: Words = Field([], description="Part of a skill's name")
    ani: Words = Field([], description="The caller's number, or its end")
    dnis: Words = Field([], description="The called number, or its end")
    disposition: Words = Field([], description="Part of a disposition")
    shape: str = Field("", max_length=200, description="Of unparsed names")
    size: str = Field("", max_length=60, description="For example >50mb, <1gb or 10mb..50mb")
    duration: str = Field(
        "", max_length=60, description="For example >10m, <90s or 4:30..10:00; known of what was looked into"
    )
    hold: YesNo | None = Field(None, description="yes or no: whether a legal hold covers it")
    sort: Literal[
        "newest", "oldest", "arrived", "arrived_first", "expiry", "expiry_last", "largest", "smallest", "longest", "shortest",
    ] = Field(
        "newest",
        description="newest, oldest, arrived, arrived_first, expiry, expiry_last, largest, smallest, longest or shortest",
    )  # fmt: skip


class RecordingOut(Schema):
    """One recording. Times are UTC."""

    id: int
    tenant: str
    contact_id: str = Field(description="Empty when the name follows no known pattern")
    media_type: str
    item_id: str
    file_name: str
    started_at: datetime | None
    arrived_at: datetime
    expires_at: datetime = Field(description="When SEA deletes it")
    size: int = Field(description="Bytes")
    presence: str = Field(description="in_sea, released, expired or vanished")
    gone_at: datetime | None
    saved_at: datetime | None
    state: str = Field(description="saved, removed, saving, waiting, failed, unsaved or lost")
    on_hold: bool = Field(description="Whether a legal hold covers it")

    @classmethod
    def of(cls, row: Recording) -> "RecordingOut":
        """Say a row, whose state has been marked."""
        return cls(
            id=row.pk, tenant=str(row.tenant), contact_id=row.contact_id, media_type=row.media_type, item_id=row.item_id,
            file_name=row.key, started_at=row.started_at, arrived_at=row.arrived_at, expires_at=row.expires_at,
            size=row.size, presence=row.presence, gone_at=row.gone_at, saved_at=row.saved_at,
            state=row.state,  # type: ignore[attr-defined]
            on_hold=row.held,  # type: ignore[attr-defined]
        )  # fmt: skip


class PageOut(Schema):
    """One page of recordings."""

    recordings: list[RecordingOut]
    next: str | None = Field(description="Send it as cursor for the following page; null at the end")


class ContactOut(Schema):
    """All recordings of a contact, the first to start first."""

    contact_id: str
    recordings: list[RecordingOut]
    complete: bool = Field(description="False when there are more than are shown")


class AnswerOut(Schema):
    """One entry of a list and its answer."""

    line: int
    text: str
    answer: str = Field(description="found, partly, removed, missing, expired, lost, repeated or malformed")
    reason: str
    recordings: int = Field(description="Ever seen")
    held: int = Field(description="Of them, in SEA or saved")
    at_risk: int
    bytes: int
    first_at: datetime | None
    deadline: datetime | None = Field(description="When the first leaves SEA that is not saved")
    gone_at: datetime | None

    @classmethod
    def of(cls, row: LookupRow) -> "AnswerOut":
        """Say an entry."""
        return cls(
            line=row.line, text=row.text, answer=row.state, reason=row.reason, recordings=row.recordings, held=row.held,
            at_risk=row.at_risk, bytes=row.bytes, first_at=row.first_at, deadline=row.deadline, gone_at=row.gone_at,
        )  # fmt: skip


class LookupIn(Schema):
    """Contact IDs or file names."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, StringConstraints(min_length=1, max_length=1024, strict=True)]] = Field(
        min_length=1, max_length=MOST_IDS
    )


class LookupOut(Schema):
    """The answer for each entry, in the order of the list."""

    entries: list[AnswerOut]


class ProblemOut(Schema):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="One sentence that says what to do")


PROBLEMS: dict[Any, Any] = dict.fromkeys((400, 401, 403, 404, 405, 422), ProblemOut)
PROBLEMS[414] = None  # the web server's own: the address is longer than it reads
