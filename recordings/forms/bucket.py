"""An S3 bucket as an archive: any S3-compatible server, a key pair of its own, locks and encryption as they are asked for."""

from contextlib import suppress
from typing import Any, ClassVar

from django import forms

from recordings.forms.archive import ArchiveForm
from recordings.forms.remote import RemoteForm
from recordings.models import Archive
from recordings.sea.location import AMAZON, LocationError, parse_location
from recordings.stores.s3 import is_region

A_BUCKET = "a-bucket"  # stands for any


class BucketForm(RemoteForm):
    """Add or change an S3 bucket."""

    kind = Archive.Kind.S3
    examples: ClassVar = {
        "endpoint": AMAZON, "region": "us-east-1", "bucket": "company-recordings", "prefix": "calls/",
        "access_key": "", "kms_key": "",
    }  # fmt: skip
    missing: ClassVar = {"bucket": "Name the bucket.", "access_key": "Paste the access key ID."}

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
        for name in ("lock_mode", "encryption"):
            self.fields[name].widget.attrs["class"] = "in wide"
        self.fields["lock_days"].widget.attrs |= {
            "class": "in", "min": "0", "max": "36500", "inputmode": "numeric",
        }  # fmt: skip
        self.fields["lock_days"].required = False
        self.fields["verify_tls"].widget.attrs["class"] = "ck"

    def usual_endpoint(self) -> str:
        """Return Amazon's own address."""
        return AMAZON

    def clean_endpoint(self) -> str:
        """Take a server's address without a bucket in its name: its objects would lie elsewhere than the archive says."""
        endpoint = super().clean_endpoint()
        with suppress(LocationError):
            if parse_location(f"{endpoint}/{A_BUCKET}/folder/").bucket != A_BUCKET:
                raise forms.ValidationError(
                    f"This address names a bucket. Write {AMAZON} or leave it empty; the bucket has a field of its own."
                )
        return endpoint

    def clean_region(self) -> str:
        """Take a region's name only: it becomes part of Amazon's host name."""
        region = str(self.cleaned_data["region"]).strip().lower()
        if region and not is_region(region):
            raise forms.ValidationError(
                "A region looks like us-east-1. Leave it empty when you do not know it."
            )
        return region

    def clean_lock_days(self) -> int:
        return int(self.cleaned_data["lock_days"] or 0)

    def clean(self) -> dict[str, Any]:
        told = super().clean()
        if told.get("lock_mode") and not told.get("lock_days") and "lock_days" not in self.errors:
            self.add_error("lock_days", "Say for how many days copies stay locked.")
        if not told.get("lock_mode"):
            told["lock_days"] = 0
        if told.get("encryption") != Archive.Encryption.KMS:
            told["kms_key"] = ""
        return told
