"""What is asked of the losses, and what is said about them."""

from datetime import datetime

from django import forms

from recordings.models import Tenant, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.days import moment

KNOWN = (("", "All"), ("no", "Not acknowledged"), ("yes", "Acknowledged"))


class LostFilter(forms.Form):
    """Which tenant, gone when, acknowledged or not. What cannot be read is told; the rest still counts."""

    tenant = forms.ModelChoiceField(
        queryset=Tenant.objects.none(), required=False, empty_label="Every tenant",
        widget=forms.Select(attrs={"class": "in"}), error_messages={"invalid_choice": "There is no such tenant."},
    )  # fmt: skip
    since = forms.DateField(
        label="Gone from, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"})
    )
    until = forms.DateField(
        label="Gone to, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"})
    )
    known = forms.ChoiceField(
        label="Acknowledged", required=False, choices=KNOWN, widget=forms.Select(attrs={"class": "in"}),
        error_messages={"invalid_choice": "Choose all, acknowledged or not acknowledged."},
    )  # fmt: skip

    def __init__(self, *args, user: User, **more) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **more)
        self.fields["tenant"].queryset = Tenant.objects.for_user(user)  # type: ignore[attr-defined]

    def apply(self, lost: RecordingQuerySet) -> RecordingQuerySet:
        """Narrow losses to what was asked."""
        self.is_valid()
        told = self.cleaned_data
        if told.get("tenant"):
            lost = lost.filter(tenant=told["tenant"])
        if told.get("since"):
            lost = lost.filter(gone_at__date__gte=told["since"])
        if told.get("until"):
            lost = lost.filter(gone_at__date__lte=told["until"])
        if told.get("known"):
            lost = lost.filter(loss__isnull=told["known"] == "no")
        return lost

    def picked(self, lost: RecordingQuerySet) -> RecordingQuerySet:
        """Narrow losses to those that were ticked, or to all that match when that was chosen."""
        if self.takes_all:
            return self.apply(lost)
        self.is_valid()
        ticked = [
            told for told in self.data.getlist("id") if told.isascii() and told.isdigit() and len(told) < 19
        ]
        return lost.filter(pk__in=[int(told) for told in ticked])

    @property
    def takes_all(self) -> bool:
        return self.data.get("everything") == "yes"

    def params(self) -> dict[str, str]:
        """Return what was asked as URL parameters."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


class LossNoteForm(forms.Form):
    """Why a loss happened and what was done about it, in a person's words."""

    reason = forms.CharField(
        label="What happened, and what was done about it", max_length=2000,
        widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        error_messages={"required": "Say what happened: the note is kept with each recording and in the audit trail."},
    )  # fmt: skip
    seen_until = forms.CharField(widget=forms.HiddenInput)  # when the page was drawn

    def clean_seen_until(self) -> datetime:
        """Read the moment that the page said."""
        told = moment(self.cleaned_data["seen_until"])
        if told is None:
            raise forms.ValidationError("Open the page again, then acknowledge.")
        return told


class AlertNoteForm(forms.Form):
    """What a person who acknowledges an alert has to say."""

    note = forms.CharField(
        max_length=1000, widget=forms.TextInput(attrs={"class": "in"}),
        error_messages={"required": "Say in a few words what you know or did: the note is kept with the alert."},
    )  # fmt: skip
