"""What is asked about a bundle, and about a link to it."""

from datetime import timedelta

from django import forms

from recordings.forms.reason import ReasonField
from recordings.models import Case, User

LEAST_PHRASE = 12


def _always(sentence: str) -> dict[str, str]:
    """Say the same whatever is wrong with a number."""
    return dict.fromkeys(("required", "invalid", "min_value", "max_value"), sentence)


class BundleForm(forms.Form):
    """How a bundle is called, and for which case it is."""

    title = forms.CharField(
        label="Title", max_length=120, widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        help_text="It stands in the manifest, and in the audit trail.",
        error_messages={"required": "Give the bundle a title."},
    )  # fmt: skip
    for_case = forms.ModelChoiceField(
        label="For the case", queryset=Case.objects.none(), required=False, empty_label="No case",
        widget=forms.Select(attrs={"class": "in"}), error_messages={"invalid_choice": "There is no such open case."},
    )  # fmt: skip

    def __init__(self, *args, user: User, case: Case | None = None, ask: bool = False, **more) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **more)
        if ask:  # a tenant whose recordings are meant wants it
            self.fields["reason"] = ReasonField()
        cases = Case.objects.for_user(user).open()
        if case:  # also when it is closed: what is handed over from a case is of that case, and kept to whom it is kept
            cases = Case.objects.for_user(user).filter(pk=case.pk)
            self.fields["for_case"].disabled = True
        self.fields["for_case"].queryset = cases  # type: ignore[attr-defined]


class ShareForm(forms.Form):
    """For whom a link is, until when, how often, and the pass-phrase that is told on another way."""

    whom = forms.CharField(
        label="For whom", max_length=120, widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        help_text="A name or a firm, as it shall stand in the audit trail.",
        error_messages={"required": "Say for whom the link is: the audit trail names them by it."},
    )  # fmt: skip
    days = forms.IntegerField(
        label="Days", min_value=1, max_value=90, initial=7, widget=forms.NumberInput(attrs={"class": "in"}),
        help_text="Never longer than the bundle itself.", error_messages=_always("Give 1 to 90 days."),
    )  # fmt: skip
    most = forms.IntegerField(
        label="Downloads", min_value=1, max_value=100, initial=3, widget=forms.NumberInput(attrs={"class": "in"}),
        help_text="One that broke and is taken up again counts once.",
        error_messages=_always("Give 1 to 100 downloads."),
    )  # fmt: skip
    phrase = forms.CharField(
        label="Pass-phrase", min_length=LEAST_PHRASE, max_length=200, strip=False,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "new-password"}),
        help_text="12 characters or more. Tell it by phone, not in the message with the link.",
        error_messages=dict.fromkeys(("required", "min_length"), f"Give a pass-phrase of {LEAST_PHRASE} characters or more."),
    )  # fmt: skip

    def until(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class PhraseForm(forms.Form):
    """The pass-phrase of a link."""

    phrase = forms.CharField(
        label="Pass-phrase", max_length=200, strip=False,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "off"}),
        error_messages={"required": "Type the pass-phrase that you were told."},
    )  # fmt: skip
