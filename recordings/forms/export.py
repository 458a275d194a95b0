"""What of a search is exported, and as what."""

from typing import Any

from django import forms

from recordings.delivery.choices import Choice
from recordings.search.calls import WORDS
from recordings.search.csv import COLUMNS

CSV, XLSX, JOB = "csv", "xlsx", "job"
FORMS = (
    (CSV, "CSV, now", "Downloads at once, however many rows there are."),
    (XLSX, "Excel workbook, now", "Up to 100,000 rows."),
    (
        JOB,
        "Compressed CSV, in the background",
        "For millions of rows. The portal makes it while you go on working, and keeps it for some days under Exports.",
    ),
)


class ExportForm(forms.Form):
    """Columns, form and encoding."""

    form = forms.ChoiceField(choices=[(value, label) for value, label, _ in FORMS])
    columns = forms.MultipleChoiceField(
        choices=list(COLUMNS.items()), error_messages={"required": "Choose at least one column."}
    )
    bom = forms.BooleanField(required=False)

    forms_told = FORMS

    @property
    def groups(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """Return the columns for the page, in groups: heading, label, whether it is ticked."""
        ticked = set(self["columns"].value() or ())
        groups: dict[str, list[tuple[str, str, bool]]] = {"The recording": [], "The call": []}
        for name, label in COLUMNS.items():
            groups["The call" if name in WORDS else "The recording"].append((name, label, name in ticked))
        return list(groups.items())

    @classmethod
    def showing(cls, choice: Choice, *, many: bool) -> "ExportForm":
        """Return the form as the person filled it in last; for more than a million rows, in the background."""
        told: dict[str, Any] = {"form": JOB if many else CSV, "columns": choice.columns, "bom": choice.bom}
        return cls(initial=told)

    @property
    def choice(self) -> Choice:
        """Return what was chosen, in the order of the columns."""
        ticked = self.cleaned_data["columns"]
        return Choice(columns=tuple(one for one in COLUMNS if one in ticked), bom=self.cleaned_data["bom"])
