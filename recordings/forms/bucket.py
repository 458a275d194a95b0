"""An S3 bucket as an archive: any S3-compatible server, a key pair of its own, locks and encryption as they are asked for."""

import re
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from recordings.forms.archive import ArchiveForm
from recordings.models import Archive, Tenant
from recordings.sea.location import AMAZON
from recordings.stores.base import StoreError
from recordings.stores.endpoint import check_endpoint
from recordings.stores.s3 import is_region

# What a stored secret belongs to: it is never used for another server, bucket or key than it was given for.
BOUND = ("endpoint", "bucket", "access_key")
LONGEST_PREFIX = 100  # characters: a layout's paths, which may get 900 long, still fit behind it

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]\Z")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/ =+@,-]*\Z")


class BucketForm(ArchiveForm):
    """Add or change a bucket. On a change, an empty secret keeps the stored one."""

    kind = Archive.Kind.S3
    place = ("bucket", "prefix")
    blamed = "bucket"

    secret_key = forms.CharField(
        label="Secret key",
        max_length=400,
        required=False,
        widget=forms.PasswordInput(
            attrs={"class": "in", "autocomplete": "new-password", "spellcheck": "false"}
        ),
    )

    class Meta(ArchiveForm.Meta):
        fields = [
            "name", "endpoint", "region", "bucket", "prefix", "access_key", "verify_tls", "lock_mode", "lock_days",
            "encryption", "kms_key", "layout", "sidecars",
        ]  # fmt: skip
        labels = {
            **ArchiveForm.Meta.labels,
            "endpoint": "Server",
            "prefix": "Folder in the bucket",
            "access_key": "Access key ID",
            "verify_tls": "Check the server’s certificate",
            "lock_mode": "Object Lock",
            "lock_days": "Locked for … days",
            "kms_key": "KMS key",
        }
        help_texts = {
            **ArchiveForm.Meta.help_texts,
            "endpoint": "Empty for Amazon S3. Any other S3-compatible server: its address with https://",
            "region": "As the bucket’s owner names it, for example eu-central-1.",
            "bucket": "A bucket that is there already.",
            "prefix": "Empty for the whole bucket.",
            "lock_mode": "Nobody can remove or replace a locked copy before its day. The bucket must have been made for it.",
            "lock_days": "From the day of saving.",
            "kms_key": "Empty for the account’s own.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = {name: getattr(self.instance, name) for name in BOUND}
        self.stored_secret = (
            self.instance.secret_key if self.instance.pk else ""
        )  # empty too when no key opens it
        for name, example in {
            "endpoint": AMAZON, "region": "us-east-1", "bucket": "company-recordings", "prefix": "calls/",
            "access_key": "", "kms_key": "",
        }.items():  # fmt: skip
            if name in self.fields:
                self.typed(name, placeholder=example)
        for name in ("lock_mode", "encryption"):
            self.fields[name].widget.attrs["class"] = "in wide"
        self.fields["lock_days"].widget.attrs |= {
            "class": "in",
            "min": "0",
            "max": "36500",
            "inputmode": "numeric",
        }
        self.fields["lock_days"].required = False
        self.fields["verify_tls"].widget.attrs["class"] = "ck"
        for name, missing in {"bucket": "Name the bucket.", "access_key": "Paste the access key ID."}.items():
            if name in self.fields:
                self.fields[name].required = True
                self.fields[name].error_messages["required"] = missing
        if self.stored_secret:
            self.fields["secret_key"].widget.attrs["placeholder"] = "Unchanged"
            self.fields["secret_key"].help_text = "Leave it empty to keep the stored one."

    def clean_region(self) -> str:
        """Take a region's name only: it becomes part of Amazon's host name."""
        region = str(self.cleaned_data["region"]).strip().lower()
        if region and not is_region(region):
            raise forms.ValidationError(
                "A region looks like us-east-1. Leave it empty when you do not know it."
            )
        return region

    def clean_endpoint(self) -> str:
        """Take a server's address, with nothing behind its name: the bucket has a field of its own."""
        text = str(self.cleaned_data["endpoint"]).strip().rstrip("/") or AMAZON
        try:
            parts = urlsplit(text)
            port, named = parts.port, bool(parts.hostname)
        except ValueError:
            port, named = None, False
        if not named or parts.scheme.lower() not in ("https", "http"):
            raise forms.ValidationError(f"Write the server’s address with https://, for example {AMAZON}.")
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

    def clean_lock_days(self) -> int:
        return int(self.cleaned_data["lock_days"] or 0)

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if told.get("lock_mode") and not told.get("lock_days") and "lock_days" not in self.errors:
            self.add_error("lock_days", "Say for how many days copies stay locked.")
        if not told.get("lock_mode"):
            told["lock_days"] = 0
        if told.get("encryption") != Archive.Encryption.KMS:
            told["kms_key"] = ""
        self._check_secret(told)
        if not self.errors:
            self._check_place(
                {name: told.get(name, getattr(self.instance, name)) for name in (*self.place, "endpoint")}
            )
        return told

    def _check_secret(self, told: dict[str, Any]) -> None:
        now = {name: told.get(name, self.before[name]) for name in BOUND}
        if not told.get("secret_key") and not (self.stored_secret and now == self.before):
            again = "Type the secret key again: the stored one is only ever used with the server, bucket and access key that it was given for."
            self.add_error("secret_key", again if self.stored_secret else "Paste the secret access key.")
        self.instance.secret_key = self.secret

    def _check_place(self, at: dict[str, str]) -> None:
        """Refuse SEA itself, and a folder inside another archive's: copies of both would lie among each other."""
        bucket, prefix = at["bucket"], at["prefix"]
        blamed = "prefix" if "prefix" in self.fields else "endpoint"
        for tenant in Tenant.objects.filter(bucket=bucket):
            if _meet(prefix, tenant.prefix):
                self.add_error(
                    blamed, f"This is where SEA is read for {tenant}. Copies belong in a bucket of your own."
                )
        others = Archive.objects.filter(kind=Archive.Kind.S3, endpoint=at["endpoint"], bucket=bucket)
        for other in others.exclude(pk=self.instance.pk):
            if _meet(prefix, other.prefix):
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
        return super().prove()


def _meet(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
