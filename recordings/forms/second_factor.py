"""Codes as people type them."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from recordings.forms.reason import why_field
from recordings.forms.sign_in import password_field


def _code_field(**attrs: Any) -> forms.CharField:
    """Return a field for the six digits that an app shows; spaces between them are no mistake."""
    return forms.CharField(
        label="Code",
        max_length=20,
        help_text="The six digits that your authenticator app shows now.",
        widget=forms.TextInput(
            attrs={"class": "in", "autocomplete": "one-time-code", "inputmode": "numeric", **attrs}
        ),
        error_messages={"required": "Type the six digits that the app shows."},
    )


def _digits(typed: str) -> str:
    code = "".join(typed.split())
    if code and not (code.isascii() and code.isdigit() and len(code) == 6):
        raise ValidationError("Type the six digits that the app shows.")
    return code


class FirstCodeForm(forms.Form):
    """The code that proves that the app has the secret."""

    code = _code_field(autofocus=True)

    def clean_code(self) -> str:
        return _digits(self.cleaned_data["code"])


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = _code_field(autofocus=True)
    recovery = forms.CharField(
        label="Recovery code",
        max_length=60,
        help_text="One of the ten that were shown when you set this up. Each works once.",
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].required = self.fields["recovery"].required = False

    def clean_code(self) -> str:
        return _digits(self.cleaned_data["code"])

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if not self.errors and bool(told["code"]) == bool(told["recovery"]):
            self.add_error("code", "Type the code that the app shows, or a recovery code instead.")
        return told


class ResetForm(forms.Form):
    """Why an admin takes somebody's second factor."""

    reason = why_field(example="lost the phone, asked in person", hint="Be sure that it is they who ask.")


class ProofForm(CodeForm):
    """The password, and a code where the person has a second factor: nobody else changes how they sign in."""

    field_order = ["password", "code", "recovery"]
    password = password_field()

    def __init__(self, *args: Any, with_code: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs.pop("autofocus")
        if not with_code:
            del self.fields["code"], self.fields["recovery"]

    def clean(self) -> dict[str, Any]:
        return super().clean() if "code" in self.fields else self.cleaned_data
