"""Searches of others as somebody may read them: a case that they do not know of is not named.

discreet.Reader(user).told("q=case%3ASmith&saved=no")  -> "q=case%3A%E2%80%A6&saved=no" for who does not know the case
"""

import re

from recordings.access import May, may
from recordings.models import Case, User
from recordings.search.criteria import Criteria
from recordings.search.words import CASE

LEFT_OUT = "…"
_NAMES_A_CASE = re.compile(r"case(?:\s|\+|%20)*(?::|%3a)", re.IGNORECASE)
# What looks like it and is not read as one: with a space, denied, in brackets, several at once. The name was typed all the same.
_QUOTED = r"""["“”„][^"“”„]*(?:["“”„]|$)"""
_LOOSE = re.compile(
    rf"case\s*:\s*(?P<names>(?:{_QUOTED}|[^\s,|\"“”„]+)(?:\s*[,|]\s*(?:{_QUOTED}|[^\s,|\"“”„]+))*)",
    re.IGNORECASE,
)


def names_a_case(query: str) -> bool:
    """Tell whether a search may name a case."""
    return _NAMES_A_CASE.search(query) is not None


class Reader:
    """Somebody who reads what others searched for. Each case is asked for once."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._known = dict[str, bool]()

    def told(self, query: str) -> str:
        """Return a search with each case left out that this person knows nothing of, whether there is such a case or not."""
        if not names_a_case(query):
            return query
        criteria = Criteria.parse(query)
        text = _LOOSE.sub(self._or_nothing, criteria.text)
        criteria = criteria.but(text=text)
        unknown = [one for one in criteria.box.asked if one.label == CASE and not self._knows(one.value)]
        for one in sorted(unknown, key=lambda one: -one.begin):
            text = f"{text[: one.begin]}case:{LEFT_OUT}{text[one.end :]}"
        return criteria.querystring(text=text) if text != Criteria.parse(query).text else query

    def may_read(self, query: str) -> bool:
        """Tell whether nothing of a search has to be left out."""
        return self.told(query) == query

    def _or_nothing(self, found: re.Match[str]) -> str:
        return found[0] if self._knows(found["names"].strip('"“”„')) else f"case:{LEFT_OUT}"

    def _knows(self, name: str) -> bool:
        if name not in self._known:
            known = Case.objects.for_user(self._user).named(name)
            self._known[name] = may(self._user, May.CASE) and known.exists()
        return self._known[name]


class Receiver(Reader):
    """Whoever gets what is handed over, people outside among them: of all cases they may read only of the one that it is for."""

    def __init__(self, case: Case | None) -> None:
        self._case = case

    def _knows(self, name: str) -> bool:
        return self._case is not None and name.strip().lower() == self._case.name.lower()
