"""A CSV of call metadata as a person gives it: the file, and what its columns are."""

from typing import Any
from zoneinfo import available_timezones

from django import forms

from recordings.catalog.metadata.columns import FIELDS, ORDERS, Mapping, MappingRefused
from recordings.catalog.metadata.reading import Line, Malformed, Preview
from recordings.models import Tenant, User


class UploadForm(forms.Form):
    """Which tenant's calls, and the file."""

    tenant = forms.ModelChoiceField(
        queryset=Tenant.objects.none(), empty_label=None, widget=forms.Select(attrs={"class": "in"}),
        error_messages={"required": "Choose the tenant whose calls the file tells of.", "invalid_choice": "There is no such tenant."},
    )  # fmt: skip
    file = forms.FileField(
        label="CSV file", widget=forms.FileInput(attrs={"class": "in", "accept": ".csv,.txt,.tsv,text/csv"}),
        help_text="From CXone’s Data Extraction, recording-interaction-metadata, or any other report with contact IDs.",
        error_messages={
            "required": "Choose the CSV file that you exported from CXone.",
            "empty": "The file is empty. Export it again for a time with calls in it.",
        },
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["tenant"].queryset = Tenant.objects.for_user(user)  # type: ignore[attr-defined]


class MappingForm(forms.Form):
    """What each column is, and how dates are meant; begins with what was guessed or remembered."""

    order = forms.ChoiceField(
        label="Dates", choices=list(ORDERS.items()), widget=forms.Select(attrs={"class": "in"}),
        help_text="Dates that begin with the year are read right either way.",
    )  # fmt: skip
    zone = forms.CharField(
        label="Time zone of the dates", max_length=60,
        widget=forms.TextInput(attrs={"class": "in", "list": "zones", "autocomplete": "off", "spellcheck": "false"}),
        help_text="For dates that do not name their own.",
    )  # fmt: skip

    def __init__(
        self, *args: Any, told: Preview, guessed: Mapping | None, columns: tuple[str, ...], **more: Any
    ) -> None:
        initial = {"order": guessed.order if guessed else "mdy", "zone": guessed.zone if guessed else "UTC"}
        super().__init__(*args, initial=initial, **more)
        self.told = told
        self.mapping: Mapping | None = None
        choices = [("", "Leave out"), *((field.name, field.label) for field in FIELDS)]
        for place, heading in enumerate(told.headings):
            self.fields[f"column{place}"] = forms.ChoiceField(
                label=heading or f"Column {place + 1}", choices=choices, required=False, initial=columns[place],
                widget=forms.Select(attrs={"class": "in"}),
            )  # fmt: skip

    @property
    def columns(self) -> list[tuple[forms.BoundField, list[str]]]:
        """Return each column's field with its first texts."""
        return [
            (self[f"column{place}"], self.told.examples(place)) for place in range(len(self.told.headings))
        ]

    @property
    def zones(self) -> list[str]:
        """Return the time zones to choose from."""
        return sorted(
            zone
            for zone in available_timezones()
            if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/"))
        )

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if self.errors:
            return told
        try:
            self.mapping = Mapping(
                columns=tuple(told[f"column{place}"] for place in range(len(self.told.headings))),
                order=told["order"], zone=told["zone"],
            )  # fmt: skip
        except MappingRefused as error:
            raise forms.ValidationError(str(error)) from error
        return told

    def understood(self, shown: Mapping | None) -> list[tuple[int, Line | None, str]]:
        """Return the first rows as they would be imported: line number, what is understood, or why it is not."""
        if shown is None:
            return []
        return [
            (one.number, None, one.reason) if isinstance(one, Malformed) else (one.number, one, "")
            for one in self.told.understood(shown)
        ]
