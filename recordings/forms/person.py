"""People as an admin types them: who they are, their role, and which tenants they see."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from recordings.access import single_sign_on
from recordings.forms.reason import why_field
from recordings.models import Role, Tenant, User

ROLE_SAYS = {
    Role.COMPLIANCE: "finds, plays, downloads, saves and hands over recordings; reads the audit trail",
    Role.ADMIN: "all of that, and connects tenants, archives and people",
    Role.SUPERVISOR: "finds and plays recordings, and exports lists of them",
}


class LastAdmin(Exception):
    """Nobody would be left who can set up the portal: make somebody else an active admin of every tenant first."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def people_of(user: User) -> Any:
    """Return the people whom an admin may see and change: with some tenants, those who see no more than that."""
    if user.all_tenants:
        return User.objects.all()
    others = Tenant.objects.exclude(pk__in=user.tenants.all())
    return User.objects.filter(all_tenants=False).exclude(tenants__in=others).distinct()


class PersonForm(forms.Form):
    """Add a person, or change one. Nobody can give more than they have, or take the last admin away."""

    name = forms.CharField(
        label="Name",
        max_length=120,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        error_messages={"required": "Type the person’s name."},
    )
    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        help_text="They sign in with it. The audit trail names them by it.",
        widget=forms.EmailInput(attrs={"class": "in", "autocomplete": "off"}),
        error_messages={"required": "Type the person’s e-mail address."},
    )
    role = forms.ChoiceField(
        label="Role",
        choices=Role.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose a role."},
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "new-password"}),
        error_messages={"required": "Type a first password. The person can change it."},
    )
    scope = forms.ChoiceField(
        label="Tenants",
        choices=[("all", "Every tenant, also ones connected later"), ("some", "Only these")],
        widget=forms.RadioSelect,
        initial="all",
    )
    tenants = forms.ModelMultipleChoiceField(
        queryset=Tenant.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    is_active = forms.BooleanField(
        label="May sign in",
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs={"class": "ck"}),
    )

    def __init__(self, *args: Any, by: User, person: User | None = None, **kwargs: Any) -> None:
        self.by, self.person = by, person
        if person:
            kwargs["initial"] = {
                "name": person.name,
                "role": person.role,
                "is_active": person.is_active,
                "scope": "all" if person.all_tenants else "some",
                "tenants": list(person.tenants.all()),  # as they are now, and not once they were changed
            }
        super().__init__(*args, **kwargs)
        self.fields["tenants"].queryset = Tenant.objects.for_user(by)  # type: ignore[attr-defined]
        if not by.all_tenants:
            self.fields["scope"].choices = [("some", "Only these")]  # type: ignore[attr-defined]
            self.fields["scope"].initial = "some"
        if person:
            del self.fields["email"]
            self.fields["password"].required = False
            self.fields["password"].label = "New password"
            self.fields[
                "password"
            ].help_text = "Leave it empty to keep the present one. A new one ends their sessions."
        else:
            del self.fields["is_active"]
            self.fields["password"].help_text = "12 characters or more. Hand it over in person."
            if single_sign_on.is_on():
                self.fields["password"].required = False
                self.fields[
                    "password"
                ].help_text += f" Not needed for who signs in with {single_sign_on.name()}."
        if single_sign_on.is_the_only_way():
            del self.fields["password"]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exists():
            raise ValidationError("Somebody with this address is here already.")
        return email

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if told.get("scope") == "some" and not told.get("tenants"):
            self.add_error("tenants", "Tick at least one tenant, or choose every tenant.")
        if told.get("password"):
            person = self.person or User(email=told.get("email", ""), name=told.get("name", ""))
            try:
                validate_password(told["password"], person)
            except ValidationError as error:
                self.add_error("password", error)
        return told

    def roles(self) -> list[tuple[str, str, str]]:
        """Return each role with what it may do, for the page."""
        return [(role.value, role.label, ROLE_SAYS[role]) for role in Role]

    def changes(self) -> list[str]:
        """Return the names of what would change; a password by its name only."""
        return [
            name.replace("is_active", "sign-in").replace("scope", "tenants") for name in self.changed_data
        ]

    def save(self) -> User:
        """Write the person. Raises LastAdmin, having changed nothing."""
        told = self.cleaned_data
        with transaction.atomic():
            # One change of people at a time, or two admins could each take the other's role away.
            list(Group.objects.select_for_update().filter(name=Role.ADMIN))
            person = self.person or User(email=told["email"])
            person.name, person.all_tenants = told["name"], told["scope"] == "all"
            person.is_active = told.get("is_active", True)
            changed = ["name", "all_tenants", "is_active"]
            if told.get("password"):
                person.set_password(told["password"])
                changed.append("password")
            elif not self.person:
                person.set_unusable_password()
            # A form is no older than its page: what else changed of the person meanwhile stays, such as ended sessions.
            person.save(update_fields=changed if self.person else None)
            person.tenants.set([] if person.all_tenants else told["tenants"])
            person.groups.set([Group.objects.get_or_create(name=told["role"])[0]])
            if not _somebody_sets_up():
                raise LastAdmin
        return person


class UnlinkForm(forms.Form):
    """Why an admin unlinks somebody's account at the identity provider."""

    reason = why_field(example="was given a new account, asked in person")


def _somebody_sets_up() -> bool:
    return User.objects.filter(groups__name=Role.ADMIN, is_active=True, all_tenants=True).exists()
