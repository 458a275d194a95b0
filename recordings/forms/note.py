"""What people write on a recording or a contact: a note, at a moment of the call or on all of it, and a tag."""

import re
from typing import Any

from django import forms

from recordings.models import Tenant
from recordings.models.note import MOST_TAG

MOST = 2000
_MOMENT = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)
_NO_TAG = re.compile(r'[\s"“”„,:]+')


class Moment(forms.CharField):
    """A place in a recording, as 1:23, 1:02:03 or seconds; None when nothing is given."""

    def clean(self, value: Any) -> Any:
        """Read it, once it is known to be short text."""
        told = super().clean(value)
        if not told:
            return None
        read = _MOMENT.fullmatch(told)
        if read is None:
            raise forms.ValidationError("Give the moment as minutes and seconds, such as 1:23.")
        hours, minutes, seconds = read.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


class NoteForm(forms.Form):
    """A note on a recording."""

    text = forms.CharField(
        label="Note", max_length=MOST, widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        error_messages={"required": "Write something first.", "max_length": f"Keep it to {MOST:,} characters."},
    )  # fmt: skip
    at_seconds = Moment(label="At", required=False, max_length=16)


class ContactNoteForm(forms.Form):
    """A note on a contact: in which tenant, for a contact may have recordings in several."""

    text = NoteForm.base_fields["text"]
    tenant = forms.ModelChoiceField(
        queryset=Tenant.objects.none(), empty_label=None,
        error_messages={"required": "Choose the tenant.", "invalid_choice": "Choose a tenant of this contact."},
    )  # fmt: skip

    def __init__(self, *args: Any, tenants: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]


class TagForm(forms.Form):
    """One tag. It is one word, so that `tag:word` finds it."""

    tag = forms.CharField(
        label="Tag", max_length=MOST_TAG,
        error_messages={"required": "Write the tag first.", "max_length": f"Keep a tag to {MOST_TAG} characters."},
    )  # fmt: skip

    def clean_tag(self) -> str:
        """Join words by dashes, and drop a # before them."""
        tag = _NO_TAG.sub("-", str(self.cleaned_data["tag"]).lstrip("#")).strip("-")
        if not tag:
            raise forms.ValidationError("Write the tag with letters or digits.")
        return tag
