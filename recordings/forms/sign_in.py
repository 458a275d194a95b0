"""What people type about themselves: sign-in, first visit, own password."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from recordings.access import tries
from recordings.models import User


def password_field() -> forms.CharField:
    """Return a field for the password that somebody has."""
    return forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "current-password"}),
        error_messages={"required": "Type your password."},
    )


class SignInForm(forms.Form):
    """An e-mail address and a password. Whether they fit is not this form's question."""

    email = forms.CharField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"class": "in", "autocomplete": "username", "autofocus": True}),
        error_messages={"required": "Type your e-mail address."},
    )
    password = password_field()

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class FirstAdminForm(forms.Form):
    """The first admin of an empty portal."""

    code = forms.CharField(
        label="Set-up code",
        max_length=200,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Printed in the terminal when the portal started.",
        error_messages={"required": "Copy the set-up code from the terminal."},
    )
    name = forms.CharField(
        label="Your name",
        max_length=120,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "name"}),
        help_text="Shown beside what you do.",
        error_messages={"required": "Type your name."},
    )
    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"class": "in", "autocomplete": "username"}),
        help_text="You sign in with it. The audit trail names you by it.",
        error_messages={
            "required": "Type your e-mail address.",
            "invalid": "Type an e-mail address, such as ann@example.com.",
        },
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "new-password"}),
        help_text="12 characters or more. A sentence is easier to remember than a riddle.",
        error_messages={"required": "Type a password."},
    )

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if told.get("password"):
            try:
                validate_password(
                    told["password"], User(email=told.get("email", ""), name=told.get("name", ""))
                )
            except ValidationError as error:
                self.add_error("password", error)
        return told


class OwnPasswordForm(PasswordChangeForm):
    """Change one's own password, with the old one; `address` is from where."""

    def __init__(self, *args: Any, address: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address
        words = {
            "old_password": ("Password now", "current-password", "", "Type the password that you have now."),
            "new_password1": (
                "New password",
                "new-password",
                "12 characters or more.",
                "Type a new password.",
            ),
            "new_password2": ("New password again", "new-password", "", "Type the new password once more."),
        }
        for name, (label, autocomplete, hint, missing) in words.items():
            field = self.fields[name]
            field.label, field.help_text = label, hint
            field.error_messages["required"] = missing
            field.widget.attrs.update({"class": "in", "autocomplete": autocomplete})
            field.widget.attrs.pop("autofocus", None)

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        if refusal := tries.refusal_of(self.user, password, address=self.address):
            raise ValidationError(refusal)
        return password
