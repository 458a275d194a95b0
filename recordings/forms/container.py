"""An Azure container as an archive: a storage account, one of its two keys, a container that is there."""

import base64
import re
from typing import Any, ClassVar

from django import forms

from recordings.forms.archive import ArchiveForm
from recordings.forms.remote import RemoteForm
from recordings.models import Archive

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}\Z")


class ContainerForm(RemoteForm):
    """Add or change an Azure container."""

    kind = Archive.Kind.AZURE
    key_is = "account key"
    examples: ClassVar = {
        "endpoint": "https://company.blob.core.windows.net",
        "bucket": "recordings",
        "prefix": "calls/",
        "access_key": "company",
    }
    missing: ClassVar = {
        "bucket": "Name the container.",
        "access_key": "Name the storage account.",
    }

    class Meta(ArchiveForm.Meta):
        fields = ["name", "access_key", "endpoint", "bucket", "prefix", "layout", "sidecars"]
        labels = {
            **ArchiveForm.Meta.labels,
            "access_key": "Storage account",
            "endpoint": "Server",
            "bucket": "Container",
            "prefix": "Folder in the container",
        }
        help_texts = {
            **ArchiveForm.Meta.help_texts,
            "endpoint": "Empty for the account’s own address at blob.core.windows.net.",
            "bucket": "A container that is there already. A policy for immutable storage on it keeps copies from removal.",
            "prefix": "Empty for the whole container.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret_key"].label = "Account key"

    def clean_access_key(self) -> str:
        """Take an account's name only: it becomes part of a host name."""
        account = str(self.cleaned_data["access_key"]).strip()
        if not _ACCOUNT.match(account):
            raise forms.ValidationError(
                "A storage account’s name has 3 to 24 small letters and digits. Copy it from the Azure portal."
            )
        return account

    def clean_endpoint(self) -> str:
        """Take an address with the account behind it too: Azure's emulator has it there."""
        account, text = (
            self.cleaned_data.get("access_key"),
            str(self.cleaned_data["endpoint"]).strip().rstrip("/"),
        )
        if not account or not text.endswith(f"/{account}"):
            return super().clean_endpoint()
        self.cleaned_data["endpoint"] = text.removesuffix(f"/{account}")
        return f"{super().clean_endpoint()}/{account}"

    def usual_endpoint(self) -> str:
        """Return the account's own address."""
        account = self.cleaned_data.get("access_key")
        return f"https://{account}.blob.core.windows.net" if account else self.examples["endpoint"]

    def clean(self) -> dict[str, Any]:
        told = super().clean()
        if not self.errors and not _is_base64(self.secret):
            self.add_error(
                "secret_key", "An account key is base64 text. Copy key1 or key2 from the Azure portal."
            )
        return told


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
