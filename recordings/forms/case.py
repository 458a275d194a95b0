"""What people say about cases: which one, what it is about, why it is held or closed, and notes."""

from typing import Any

from django import forms

from recordings.forms.release import end_of
from recordings.models import Case, User

_IN = {"class": "in", "autocomplete": "off"}


class CaseForm(forms.Form):
    """A new case, before anything is in it."""

    name = forms.CharField(
        label="Case number or name", max_length=100, widget=forms.TextInput(attrs=_IN),
        help_text="As people call it. It stays: the audit trail knows the case by it.",
        error_messages={"required": "Give the case number, or a short name."},
    )  # fmt: skip
    title = forms.CharField(
        label="What it is about", max_length=200, required=False, widget=forms.TextInput(attrs=_IN)
    )


class CaseChangeForm(forms.Form):
    """What may change of a case: its title and its owner."""

    title = CaseForm.base_fields["title"]
    owner = forms.ModelChoiceField(
        queryset=User.objects.none(), empty_label=None, widget=forms.Select(attrs={"class": "in"}),
        error_messages={"required": "Choose who owns the case.", "invalid_choice": "This person cannot own a case."},
    )  # fmt: skip

    def __init__(self, *args: Any, owners: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["owner"].queryset = owners  # type: ignore[attr-defined]


class CasePeopleForm(forms.Form):
    """Who works on a case beside its owner, and whether anybody else may know of it."""

    members_only = forms.BooleanField(
        label="Members only", required=False, widget=forms.CheckboxInput(attrs={"class": "ck"}),
        help_text="Its name, notes, history and holds are for its owner, its members and admins who see all tenants. Otherwise "
        "for everybody who works on cases.",
    )  # fmt: skip
    person = forms.ModelChoiceField(
        label="Add a person", queryset=User.objects.none(), required=False, empty_label="Nobody",
        widget=forms.Select(attrs={"class": "in"}),
        error_messages={"invalid_choice": "This person cannot work on cases, or does already on this one."},
    )  # fmt: skip

    def __init__(self, *args: Any, people: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]


class CaseHoldForm(forms.Form):
    """Why a case is held, and until when."""

    until = forms.DateField(
        label="Until, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text="To the end of that day. Empty: until somebody lifts it.",
    )  # fmt: skip
    reason = forms.CharField(
        label="Reason", max_length=2000, widget=forms.TextInput(attrs=_IN),
        error_messages={"required": "Say why it is held: the reason is kept with the hold and in the audit trail."},
    )  # fmt: skip

    def clean_until(self) -> Any:
        """Take the end of the day that was given; a day that is over holds nothing."""
        return end_of(self.cleaned_data["until"])


class CaseAddForm(forms.Form):
    """Into which case a selection goes: an open one, or a new one; held, if a reason is given."""

    case = forms.ModelChoiceField(
        queryset=Case.objects.none(), required=False, empty_label="A new case",
        widget=forms.Select(attrs={"class": "in"}),
        error_messages={"invalid_choice": "This case is closed or does not exist. Choose another."},
    )  # fmt: skip
    name = forms.CharField(
        label="Number or name of a new case",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs=_IN),
    )
    hold = forms.BooleanField(
        label="Place a legal hold on the case",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "ck"}),
    )
    reason = forms.CharField(
        label="Reason of the hold", max_length=2000, required=False, widget=forms.TextInput(attrs=_IN)
    )
    until = forms.DateField(
        label="Hold until, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text="To the end of that day. Empty: until somebody lifts it.",
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["case"].queryset = Case.objects.for_user(user).open()  # type: ignore[attr-defined]

    def clean_until(self) -> Any:
        """Take the end of the day that was given; a day that is over holds nothing."""
        return end_of(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        """Ask for one case, and for a reason when it is to be held."""
        told = super().clean() or {}
        name = (told.get("name") or "").strip()
        if "case" in told and not told["case"] and not name:
            self.add_error("name", "Choose an open case, or name a new one.")
        if told.get("case") and name:
            self.add_error("name", "Choose an open case, or name a new one, not both.")
        if told.get("hold") and not told.get("reason"):
            self.add_error("reason", "Say why it is held: the reason is kept with the hold.")
        return {**told, "name": name}


class CaseNoteForm(forms.Form):
    """A note on a case."""

    text = forms.CharField(
        label="Note", max_length=4000, widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        error_messages={"required": "Write the note first."},
    )  # fmt: skip


class CaseCloseForm(forms.Form):
    """Why a case is closed."""

    reason = forms.CharField(
        label="Why it is closed", max_length=2000, widget=forms.TextInput(attrs=_IN),
        error_messages={"required": "Say why the case is closed: the reason is kept with it."},
    )  # fmt: skip


class CaseFilter(forms.Form):
    """Which cases to show."""

    q = forms.CharField(
        label="Name or title", required=False, max_length=200, widget=forms.TextInput(attrs={"class": "in", "type": "search"})
    )  # fmt: skip
    state = forms.ChoiceField(
        required=False, choices=[("", "Open and closed"), *Case.State.choices], widget=forms.Select(attrs={"class": "in"}),
        error_messages={"invalid_choice": "There is no such state."},
    )  # fmt: skip
