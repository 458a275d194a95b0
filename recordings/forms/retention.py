"""What people say about removing copies: an archive's rule, and an order to delete what was chosen."""

from typing import Any

from django import forms

from recordings.models import RetentionPolicy

_IN = {"class": "in", "autocomplete": "off"}


class RetentionForm(forms.ModelForm):
    """An archive's rule. Switching it on asks for the archive's name, so that nobody does it by a slip."""

    name = forms.CharField(
        label="The archive’s name", required=False, widget=forms.TextInput(attrs=_IN), help_text="Type it to switch the rule on."
    )  # fmt: skip

    class Meta:
        model = RetentionPolicy
        fields = ["keep_days", "cap_per_day"]
        labels = {"keep_days": "Days that copies are kept", "cap_per_day": "Copies a day, at most"}
        help_texts = {
            "keep_days": "30 to 36,500, from the start of the recording; from its arrival in SEA when its name does not tell its start.",
            "cap_per_day": "By UTC day. What is left goes on the next day.",
        }
        widgets = {
            "keep_days": forms.NumberInput(attrs={"class": "in", "min": 30, "max": 36_500}),
            "cap_per_day": forms.NumberInput(attrs={"class": "in", "min": 1}),
        }
        error_messages = {
            "keep_days": dict.fromkeys(("required", "invalid", "min_value", "max_value"), "Give 30 to 36,500 days."),
            "cap_per_day": dict.fromkeys(
                ("required", "invalid", "min_value", "max_value"), "Give 1 to 1,000,000 copies a day."
            ),
        }  # fmt: skip

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        named, name = self.fields["name"], self.instance.archive.name
        named.required = not self.instance.enabled
        named.error_messages["required"] = f"Type {name} to switch the rule on."

    def clean_name(self) -> str:
        """Insist on the archive's own name while its rule is off."""
        typed: str = self.cleaned_data["name"].strip()
        if not self.instance.enabled and typed.casefold() != self.instance.archive.name.casefold():
            raise forms.ValidationError(f"Type {self.instance.archive.name} to switch the rule on.")
        return typed


class DeletionForm(forms.Form):
    """Why copies are deleted, and how many, typed."""

    reason = forms.CharField(
        label="Reason", max_length=2000, widget=forms.TextInput(attrs=_IN),
        help_text="For example the number of an erasure request. It is kept with the order and in the audit trail.",
        error_messages={"required": "Say why they are deleted: the reason is kept with each receipt."},
    )  # fmt: skip
    typed = forms.CharField(
        label="Confirm", max_length=40, widget=forms.TextInput(attrs=_IN),
        error_messages={"required": "Type the words above: what is deleted cannot be brought back."},
    )  # fmt: skip

    def __init__(self, *args: Any, copies: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self.words = f"delete {copies}"
        self.fields["typed"].help_text = f"Type {self.words} to confirm."

    def clean_typed(self) -> str:
        """Insist on the number of copies as it is now."""
        typed: str = " ".join(self.cleaned_data["typed"].lower().split())
        if typed != self.words:
            raise forms.ValidationError(f"Type {self.words}: so many copies would be deleted now.")
        return typed
