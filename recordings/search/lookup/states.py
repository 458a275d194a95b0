"""What the answers of a look-up mean. The query and the page both take them from here.

A recording is still there (`held`, in columns) while its file is in SEA or a verified copy of it is saved. A saved copy counts
whatever became of the file in SEA, until it is removed by its archive's rule or on somebody's order. Pages do not call that
held: there the word is of legal holds.
"""

from dataclasses import dataclass

from recordings.models import LookupRow

State = LookupRow.State


@dataclass(frozen=True)
class Meaning:
    """One answer: what it means, how it is decided, and what to do about it."""

    state: LookupRow.State
    means: str  # a sentence
    when: str  # SQL over the recordings of one entry: total, held, removed, gone_by_expiry
    look: str  # of its tag
    symbol: str
    to_do: str = ""


HELD = "(r.presence = 'in_sea' OR r.saved_at IS NOT NULL AND r.removed_at IS NULL)"
REMOVED = "(r.presence <> 'in_sea' AND r.saved_at IS NOT NULL AND r.removed_at IS NOT NULL)"
# In this order: the first that holds is the answer.
MEANINGS = (
    Meaning(
        State.MISSING,
        "No recording of it was ever seen, in the tenants that you see.",
        "total = 0", "", "minus",
        "Look for it in CXone. Once it is copied to SEA, the next scan finds it.",
    ),
    Meaning(
        State.FOUND,
        "Every recording of it that was ever seen is still there: in SEA, or as a verified copy.",
        "held = total", "good", "ok",
    ),
    Meaning(
        State.PARTLY,
        "Some of its recordings are still there, others are gone from SEA and were never saved, or were removed from the archive.",
        "held > 0", "warn", "alert",
        "Its page shows which are left. What is gone cannot be put into SEA again.",
    ),
    Meaning(
        State.REMOVED,
        "All of it was saved, kept as long as the archive’s rule says or until somebody ordered it deleted, and then removed.",
        "removed = total", "", "minus",
        "Its page shows when and by which rule. Nothing was lost.",
    ),
    Meaning(
        State.EXPIRED,
        "None is there any more: what was never saved left SEA when its 30 days were over. That is a loss too.",
        "gone_by_expiry = total - removed", "risk-s", "fail",
        "Ask CXone whether it still has it in its own storage. It cannot be put into SEA again.",
    ),
    Meaning(
        State.LOST,
        "None is there any more, and at least one left SEA before its 30 days were over, or lost its only copy after a release.",
        "TRUE", "risk-s", "fail",
        "“Lost recordings” says why. Ask CXone whether it still has it in its own storage.",
    ),
)  # fmt: skip
BY_STATE = {meaning.state: meaning for meaning in MEANINGS}
# As the page lists them; then what was no question.
ANSWERS = (State.FOUND, State.PARTLY, State.REMOVED, State.MISSING, State.EXPIRED, State.LOST)
REFUSED = (State.REPEATED, State.MALFORMED)
# SQL that decides.
CASE = "CASE " + " ".join(f"WHEN {one.when} THEN '{one.state.value}'" for one in MEANINGS) + " END"
