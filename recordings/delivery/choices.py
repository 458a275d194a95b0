"""Which columns of an export, and whether with a BOM: as an address says, or as the person chose last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from recordings.models import ExportChoice, User
from recordings.search.csv import COLUMNS, chosen


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The columns by their headings, and the BOM that Excel wants."""

    columns: tuple[str, ...] = tuple(COLUMNS)
    bom: bool = True

    @classmethod
    def of(cls, user: User, query: QueryDict | Mapping[str, Any]) -> "Choice":
        """Read `column` (repeated) and `bom` of an address; what it does not say is as the person chose last."""
        last = cls.last(user)
        asked = query.getlist("column") if isinstance(query, QueryDict) else ()
        bom = query.get("bom", "")
        return cls(
            columns=tuple(chosen(asked)) if asked else last.columns,
            bom=bom == "yes" if bom in ("yes", "no") else last.bom,
        )

    @classmethod
    def last(cls, user: User) -> "Choice":
        """Return what the person chose last; at first, every column with a BOM."""
        kept = ExportChoice.objects.filter(user=user).first()
        return cls(columns=tuple(chosen(kept.columns)), bom=kept.bom) if kept else cls()

    def remember(self, user: User) -> None:
        """Offer the same to this person the next time. All columns are also those that come later."""
        columns = [] if len(self.columns) == len(COLUMNS) else list(self.columns)
        ExportChoice.objects.update_or_create(user=user, defaults={"columns": columns, "bom": self.bom})

    def querystring(self) -> str:
        """Return it as parameters of an address."""
        columns = [] if len(self.columns) == len(COLUMNS) else self.columns
        return urlencode({"column": columns, "bom": "yes" if self.bom else "no"}, doseq=True)
