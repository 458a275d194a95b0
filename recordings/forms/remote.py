"""What archives on a server have in common: an address, a bucket, a folder in it, and a key of their own."""

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from recordings.forms.archive import ArchiveForm
from recordings.forms.places import meet, server_of
from recordings.models import Archive, Copy, Tenant
from recordings.stores.base import StoreError
from recordings.stores.endpoint import check_endpoint

# What a stored secret belongs to: it is never used for another server, bucket or key than it was given for.
BOUND = ("endpoint", "bucket", "access_key")
LONGEST_PREFIX = 100  # characters: a layout's paths, which may get 900 long, still fit behind it

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]\Z")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/ =+@,-]*\Z")

LOOKED_FOR = 3  # copies that are looked for at another address: one of them may be missing for another reason
COPIES_ELSEWHERE = (
    "The copies of this archive are not there. Move them first, or add this place as an archive of its own."
)


class RemoteForm(ArchiveForm):
    """What archives on a server have. On a change, an empty secret keeps the stored one."""

    place = ("bucket", "prefix")
    blamed = "bucket"
    key_is = "secret access key"
    examples: ClassVar[dict[str, str]]
    missing: ClassVar[dict[str, str]]

    secret_key = forms.CharField(
        label="Secret key",
        max_length=400,
        required=False,
        widget=forms.PasswordInput(
            attrs={"class": "in", "autocomplete": "new-password", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = {name: getattr(self.instance, name) for name in BOUND}
        self.stored_secret = (
            self.instance.secret_key if self.instance.pk else ""
        )  # empty too when no key opens it
        for name, example in self.examples.items():
            if name in self.fields:
                self.typed(name, placeholder=example)
        for name, sentence in self.missing.items():
            if name in self.fields:
                self.fields[name].required = True
                self.fields[name].error_messages["required"] = sentence
        if self.stored_secret:
            self.fields["secret_key"].widget.attrs["placeholder"] = "Unchanged"
            self.fields["secret_key"].help_text = "Leave it empty to keep the stored one."

    def clean_endpoint(self) -> str:
        """Take a server's address, with nothing behind its name: the bucket has a field of its own."""
        text = str(self.cleaned_data["endpoint"]).strip().rstrip("/") or self.usual_endpoint()
        try:
            parts = urlsplit(text)
            port, named = parts.port, bool(parts.hostname)
        except ValueError:
            port, named = None, False
        if not named or parts.scheme.lower() not in ("https", "http"):
            raise forms.ValidationError(
                f"Write the server’s address with https://, for example {self.examples['endpoint']}."
            )
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            raise forms.ValidationError(
                "Write the server’s address only; bucket and folder have fields of their own."
            )
        host = str(parts.hostname)  # lower case
        return (
            f"{parts.scheme.lower()}://"
            + (f"[{host}]" if ":" in host else host)
            + (f":{port}" if port else "")
        )

    def usual_endpoint(self) -> str:
        """Return the address to take when none is typed."""
        raise NotImplementedError

    def clean_bucket(self) -> str:
        bucket = str(self.cleaned_data["bucket"]).strip()
        if not _BUCKET.match(bucket):
            raise forms.ValidationError("A bucket’s name has 3 to 63 letters, digits, dots and hyphens.")
        return bucket

    def clean_prefix(self) -> str:
        """Return the folder with one slash at its end, or nothing for the whole bucket."""
        parts = str(self.cleaned_data["prefix"]).strip().strip("/").split("/")
        prefix = "/".join(parts)
        if (
            len(prefix) > LONGEST_PREFIX
            or not _PREFIX.match(prefix)
            or {".", ".."}.intersection(parts)
            or "" in parts[1:]
        ):
            raise forms.ValidationError(
                f"Write a folder as calls/2026/, in plain letters and at most {LONGEST_PREFIX} characters long."
            )
        return f"{prefix}/" if prefix else ""

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        self._check_secret(told)
        if not self.errors:
            self.check_place()
        return told

    def _check_secret(self, told: dict[str, Any]) -> None:
        now = {name: told.get(name, self.before[name]) for name in BOUND}
        if not told.get("secret_key") and not (self.stored_secret and now == self.before):
            again = "Type the secret key again: the stored one is only ever used with the server, bucket and access key that it was given for."
            self.add_error("secret_key", again if self.stored_secret else f"Paste the {self.key_is}.")
        self.instance.secret_key = self.secret

    def check_place(self) -> None:
        """Refuse SEA itself, and a folder inside another archive's: copies of both would lie among each other."""
        endpoint, bucket, prefix = (
            self.cleaned_data.get(name, getattr(self.instance, name))
            for name in ("endpoint", "bucket", "prefix")
        )
        blamed = "prefix" if "prefix" in self.fields else "endpoint"
        for tenant in Tenant.objects.filter(bucket=bucket):
            if meet(prefix, tenant.prefix):
                self.add_error(
                    blamed, f"This is where SEA is read for {tenant}. Copies belong in a bucket of your own."
                )
        others = Archive.objects.filter(kind=self.kind, bucket=bucket).exclude(pk=self.instance.pk)
        for other in others:
            if server_of(other.endpoint) == server_of(endpoint) and meet(prefix, other.prefix):
                self.add_error(
                    blamed,
                    f"The archive {other} is at {other.where}. Choose a folder that is not in it nor around it.",
                )

    @property
    def changes(self) -> list[str]:
        """Return the fields whose value is another one now; of the secret that there is a new one, never which."""
        return [*super().changes, *(["secret_key"] if self.secret != self.stored_secret else [])]

    @property
    def secret(self) -> str:
        """Return the secret to use: the one typed, or the stored one where that is allowed."""
        return str(self.cleaned_data.get("secret_key") or self.stored_secret).strip()

    def prove(self) -> bool:
        """Refuse a server that no archive may use, then write to the bucket as it is typed, unless nothing of that changed."""
        if self.instance.pk and not set(self.changes).difference(ArchiveForm.Meta.fields):
            return True
        try:
            check_endpoint(self.instance.endpoint, allow_private=settings.PRIVATE_ENDPOINTS)
        except StoreError as error:
            self.add_error("endpoint", str(error))
            return False
        return super().prove() and self._prove_copies()

    def _prove_copies(self) -> bool:
        """Refuse another server or account that does not have the copies: the next re-read would call them all missing."""
        if self.instance.pk and {"endpoint", "access_key"}.intersection(self.changes):
            newest = list(Copy.objects.good().filter(archive=self.instance).order_by("-pk")[:LOOKED_FOR])
            try:
                there = not newest or any(map(self._has, newest))
            except StoreError as error:
                self.add_error("endpoint", str(error))
            else:
                if not there:
                    self.add_error("endpoint", COPIES_ELSEWHERE)
        return not self.errors

    def _has(self, copy: Copy) -> bool:
        facts = self.instance.store().head(copy.path)
        return facts is not None and facts.size == copy.size
