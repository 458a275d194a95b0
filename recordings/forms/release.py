"""What people say about releases: a tenant's switch, the stop, a hold and its lifting, and what to look for."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from recordings.models import Recording, Release, ReleasePolicy, Tenant, User


class ReleaseForm(forms.ModelForm):
    """A tenant's rule. Switching it on asks for the tenant's name, so that nobody does it by a slip."""

    name = forms.CharField(
        label="The tenant’s name", required=False, widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        help_text="Type it to switch release on.",
    )  # fmt: skip

    class Meta:
        model = ReleasePolicy
        fields = ["min_age_days", "cap_per_day"]
        labels = {"min_age_days": "Days after verification", "cap_per_day": "Files a day, at most"}
        help_texts = {
            "min_age_days": "0 to 29. A transfer job may ask for more days, or keep its recordings in SEA.",
            "cap_per_day": "By UTC day. What is left goes on the next day.",
        }
        widgets = {
            "min_age_days": forms.NumberInput(attrs={"class": "in", "min": 0, "max": 29}),
            "cap_per_day": forms.NumberInput(attrs={"class": "in", "min": 1}),
        }
        error_messages = {
            "min_age_days": dict.fromkeys(("required", "invalid", "min_value", "max_value"), "Give 0 to 29 days."),
            "cap_per_day": dict.fromkeys(
                ("required", "invalid", "min_value", "max_value"), "Give 1 to 1,000,000 files a day."
            ),
        }  # fmt: skip

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        named, name = self.fields["name"], self.instance.tenant.name
        named.required = not self.instance.enabled
        named.error_messages["required"] = f"Type {name} to switch release on."

    def clean_name(self) -> str:
        """Insist on the tenant's own name while release is off."""
        typed: str = self.cleaned_data["name"].strip()
        if not self.instance.enabled and typed.casefold() != self.instance.tenant.name.casefold():
            raise forms.ValidationError(f"Type {self.instance.tenant.name} to switch release on.")
        return typed


class StopForm(forms.Form):
    """Why all releases stop."""

    reason = forms.CharField(
        label="Why", max_length=500, widget=forms.TextInput(attrs={"class": "in"}),
        error_messages={"required": "Say why releases stop: whoever lets them go on has to know."},
    )  # fmt: skip


class HoldForm(forms.Form):
    """Hold a contact, or with nothing named a whole tenant; a recording is held from its own page."""

    tenant = forms.ModelChoiceField(
        queryset=Tenant.objects.none(), empty_label="Choose a tenant", widget=forms.Select(attrs={"class": "in"}),
        error_messages={"required": "Choose the tenant.", "invalid_choice": "There is no such tenant."},
    )  # fmt: skip
    covers = forms.ChoiceField(
        choices=[("contact", "One contact"), ("tenant", "The whole tenant")], initial="contact",
        widget=forms.Select(attrs={"class": "in"}),
    )  # fmt: skip
    contact_id = forms.CharField(
        label="Contact ID", required=False, max_length=200,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    until = forms.DateField(
        label="Until, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"}),
        help_text="To the end of that day. Empty: until somebody lifts it.",
    )  # fmt: skip
    reason = forms.CharField(
        label="Reason", max_length=2000, widget=forms.Textarea(attrs={"class": "in", "rows": 2}),
        error_messages={"required": "Say why it is held: the reason is kept with the hold and in the audit trail."},
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["tenant"].queryset = Tenant.objects.for_user(user).defer("secret_key")  # type: ignore[attr-defined]

    def clean_until(self) -> datetime | None:
        """Take the end of the day that was given; a day that is over holds nothing."""
        return end_of(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        """Ask for a contact ID when a contact is held."""
        told = super().clean() or {}
        contact = told.get("contact_id", "").strip()
        if told.get("covers") == "contact" and not contact:
            self.add_error("contact_id", "Give the contact ID, or hold the whole tenant.")
        told["contact_id"] = contact if told.get("covers") == "contact" else ""
        return told


class RecordingHoldForm(forms.Form):
    """Why one recording is held, and until when."""

    until = forms.DateField(
        label="Until, UTC", required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"})
    )
    reason = forms.CharField(
        max_length=2000, widget=forms.TextInput(attrs={"class": "in"}),
        error_messages={"required": "Say why it is held: the reason is kept with the hold and in the audit trail."},
    )  # fmt: skip

    def clean_until(self) -> datetime | None:
        """Take the end of the day that was given; a day that is over holds nothing."""
        return end_of(self.cleaned_data["until"])


class LiftForm(forms.Form):
    """Why a hold is lifted."""

    reason = forms.CharField(
        max_length=2000, widget=forms.TextInput(attrs={"class": "in"}),
        error_messages={"required": "Say why it is lifted: the reason is kept with the hold and in the audit trail."},
    )  # fmt: skip


class ReleaseFilter(forms.Form):
    """Which releases to show."""

    q = forms.CharField(
        label="File",
        required=False,
        max_length=1024,
        widget=forms.TextInput(attrs={"class": "in", "type": "search"}),
    )
    state = forms.ChoiceField(
        required=False, choices=[("", "Every state"), *Release.State.choices], widget=forms.Select(attrs={"class": "in"}),
        error_messages={"invalid_choice": "There is no such state."},
    )  # fmt: skip
    tenant = forms.ModelChoiceField(
        queryset=Tenant.objects.none(), required=False, empty_label="Every tenant",
        widget=forms.Select(attrs={"class": "in"}), error_messages={"invalid_choice": "There is no such tenant."},
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["tenant"].queryset = Tenant.objects.for_user(user).defer("secret_key")  # type: ignore[attr-defined]

    def apply(self, releases: Any) -> Any:
        """Narrow releases to what was asked; a file is found by its whole name or by how its name begins."""
        self.is_valid()
        told = self.cleaned_data
        if told.get("q"):
            asked = told["q"].strip()
            names = Recording.objects.filter(contact_id=asked).values("pk")
            beginning = releases.filter(key__gte=asked, key__lt=asked + "\U0010ffff")
            releases = beginning | releases.filter(recording__in=names)
        if told.get("state"):
            releases = releases.filter(state=told["state"])
        if told.get("tenant"):
            releases = releases.filter(tenant=told["tenant"])
        return releases

    def params(self) -> dict[str, str]:
        """Return what was asked as URL parameters."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


def end_of(day: Any) -> datetime | None:
    """Return the end of a UTC day that is not over; raise ValidationError for one that is."""
    if day is None:
        return None
    end = datetime.combine(day, time.max, tzinfo=UTC)
    if end <= timezone.now():
        raise forms.ValidationError("That day is over. Give a later one, or leave it empty.")
    return end
