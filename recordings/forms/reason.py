"""Why somebody wants to play or download, in their own words."""

from typing import Any

from django import forms

from recordings.access.reason import LONGEST, SHORTEST


class ReasonField(forms.CharField):
    """A reason, or the number of a case."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            label="Reason or case number", min_length=SHORTEST, max_length=LONGEST,
            widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
            help_text="Kept in the audit trail with your name, and good for 8 hours.",
            error_messages={
                "required": "Give a reason or a case number.",
                "min_length": f"Give at least {SHORTEST} characters.",
            },
            **more,
        )  # fmt: skip


def why_field(*, example: str, hint: str = "") -> forms.CharField:
    """Return a field for why an admin changes how somebody signs in, with an example of a reason."""
    return forms.CharField(
        label="Reason",
        min_length=SHORTEST,
        max_length=LONGEST,
        help_text=f"Kept in the audit trail with your name. {hint}".strip(),
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        error_messages={
            "required": f"Say why, for example: {example}.",
            "min_length": f"Give at least {SHORTEST} characters.",
        },
    )


class ReasonForm(forms.Form):
    """The one thing that is asked. Its field has an id of its own: holds ask for a reason on the same page."""

    reason = ReasonField()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.auto_id = "access_%s"
