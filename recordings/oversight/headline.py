"""The overview's sentences: what the figures mean, said in order of how bad it is."""

from dataclasses import dataclass

from recordings.oversight.overview import Figures
from recordings.oversight.words import clock, counted, span


@dataclass(frozen=True)
class Headline:
    """One sentence, split where its first words are set in red, and what follows it."""

    strong: str  # may be empty
    rest: str
    more: str
    level: str  # as Figures.level


def headline(told: Figures) -> Headline:
    """Say whether anything is about to be lost."""
    return Headline(*_sentence(told), more=" ".join(_more(told)), level=told.level)


def _sentence(told: Figures) -> tuple[str, str]:
    if told.level == "lost":
        number = counted(told.lost_open, "recording")
        verb = "is" if told.lost_open == 1 else "are"
        return number, f"{verb} lost, {told.at_risk:,} more at risk" if told.at_risk else f"{verb} lost"
    if told.level == "warn":
        verb = "expires" if told.at_risk == 1 else "expire"
        are = "is" if told.at_risk == 1 else "are"
        return counted(told.at_risk, "recording"), f"{verb} within 7 days and {are} not saved yet"
    if told.level == "unknown":
        since = f" since {clock(told.unknown_since, told.at)}" if told.unknown_since else ""
        return "", f"What is at risk is unknown{since}"
    if not told.in_sea:
        return "", "SEA is empty, so nothing can be lost"
    return "", "Nothing is about to be lost"


def _more(told: Figures) -> list[str]:
    """Return the sentences under the headline, the most urgent first."""
    said = []
    if told.level == "lost":
        it = "It was" if told.lost_open == 1 else "They were"
        said.append(f"{it} gone from SEA before a copy was made. Nobody has acknowledged the loss yet.")
    if told.first_loss_at:
        left = span((told.first_loss_at - told.at).total_seconds())
        when = clock(told.first_loss_at, told.at)
        said.append(f"The first expires in {left}, {'on' if ',' in when else 'at'} {when}.")
    if told.expired_unseen:
        past = "is past its 30 days" if told.expired_unseen == 1 else "are past their 30 days"
        said.append(f"{counted(told.expired_unseen, 'recording')} {past}: SEA may remove them at any moment.")
    unknown = [state for state in told.tenants if state.sentence]
    if unknown and told.level == "unknown":
        said += [f"{state.tenant.name}: {state.sentence}" for state in unknown[:2]]
        said.append("As of the last good scan, nothing expires unsaved within 7 days.")
    elif unknown:
        names = ", ".join(state.tenant.name for state in unknown)
        said.append(f"{names} could not be listed, so there may be more.")
    if told.level == "ok" and told.in_sea:
        said.append(_calm(told))
    return said


def _calm(told: Figures) -> str:
    if not told.unsaved:
        return (
            f"All {counted(told.in_sea, 'recording')} in SEA are saved and verified."
            if told.in_sea > 1
            else "The one recording in SEA is saved and verified."
        )
    verb = "has" if told.unsaved == 1 else "have"
    return f"{counted(told.unsaved, 'recording')} in SEA {verb} no copy yet, each with more than 7 days left."
