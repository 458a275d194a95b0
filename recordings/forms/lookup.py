"""A list to look up, as a person gives it: pasted, or a file."""

from typing import Any

from django import forms

from recordings.search.lookup.entries import MOST, ListRefused
from recordings.search.lookup.reading import MOST_BYTES, Cells, read_file, read_text


class LookupForm(forms.Form):
    """Contact IDs or file names, pasted or in a file."""

    ids = forms.CharField(
        label="Contact IDs or file names", required=False, strip=False,
        widget=forms.Textarea(attrs={"class": "in id", "rows": 12, "spellcheck": "false", "autocomplete": "off"}),
        help_text=f"One a line, or separated by comma or tab. At most {MOST:,}.",
    )  # fmt: skip
    file = forms.FileField(
        label="Or a file", required=False, widget=forms.FileInput(attrs={"class": "in", "accept": ".csv,.txt,.tsv,.xlsx"}),
        help_text="CSV, XLSX or TXT. Of a table, the column called Contact ID or File name is read.",
        error_messages={"empty": "The file is empty. Choose one with contact IDs or file names."},
    )  # fmt: skip

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MOST_BYTES:
            raise forms.ValidationError(
                f"The file has more than {MOST_BYTES // 1_000_000} MB. Leave in it the column with the IDs only."
            )
        return file

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors:
            if given.get("file") and given.get("ids", "").strip():
                raise forms.ValidationError("Paste a list or choose a file, one of the two.")
            if not given.get("file") and not given.get("ids", "").strip():
                raise forms.ValidationError(
                    "Paste contact IDs or file names, or choose a file that has some."
                )
        return given

    @property
    def source(self) -> str:
        """Return the name of the file; empty for a pasted list."""
        file = self.cleaned_data["file"]
        return str(file.name) if file else ""

    def cells(self) -> Cells:
        """Return what is to be looked up. Raises ListRefused, also while the cells are read."""
        file = self.cleaned_data["file"]
        if file:
            return read_file(file.name or "", file.read())
        return read_text(self.cleaned_data["ids"])


__all__ = ["ListRefused", "LookupForm"]
