"""An archive's folder as a person types it: below the allowed roots, and proved to be writable."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings

from recordings.models import Archive
from recordings.stores.base import StoreError, WritableStore
from recordings.stores.folder import FolderStore

SAID = b"SEA Portal wrote this file to test the archive, and removes it again.\n"


class FolderRefused(Exception):
    """This folder cannot be an archive."""


def roots_in_words() -> str:
    """Say below which folders an archive may lie."""
    return ", ".join(str(root) for root in settings.ARCHIVE_ROOTS)


def allowed_folder(text: str) -> Path:
    """Return the folder that was meant: below a root, no way out of it. Raises FolderRefused."""
    if "\x00" in text or any(part == ".." for part in text.split("/")):
        raise FolderRefused("The path holds “..” or characters that no folder has. Write it out in full.")
    path = Path(os.path.normpath(settings.ARCHIVE_ROOTS[0] / text))
    for root in settings.ARCHIVE_ROOTS:
        if path != root and path.is_relative_to(root):
            real = Path(os.path.realpath(path))
            if real != Path(os.path.realpath(root)) / path.relative_to(root):
                raise FolderRefused("The path leads through a symbolic link. Name the folder itself.")
            return real
    raise FolderRefused(
        f"An archive lies below one of these folders: {roots_in_words()}. "
        "SEAPORTAL_ARCHIVE_ROOTS names them when the portal starts."
    )


def try_out(store: WritableStore) -> None:
    """Write a file of our own, read it back, compare, and remove it. Raises StoreError."""
    token = secrets.token_hex(8)
    name = f"seaportal-test-{token}.txt"
    written = store.write(name, [SAID], size=len(SAID), token=token)
    try:
        with store.read(name) as stream:
            same = b"".join(stream.chunks()) == SAID
    finally:
        store.remove(name, if_match=written.etag)
    if not same:
        raise StoreError("the file that was read back is not the one that was written")


class ArchiveForm(forms.ModelForm):
    """Add an archive, or give one another name. The folder of an archive that holds copies never changes."""

    class Meta:
        model = Archive
        fields = ["name", "folder"]
        error_messages = {
            "name": {"required": "Give the archive a name."},
            "folder": {"required": "Name the folder that the copies go to."},
        }
        help_texts = {"name": "Shown where people choose where to save."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        typed = {"class": "in", "autocomplete": "off", "spellcheck": "false"}
        self.fields["name"].widget = forms.TextInput(attrs={**typed, "maxlength": "60"})
        if self.instance.pk:
            del self.fields["folder"]
            return
        self.fields["folder"].widget = forms.TextInput(attrs={**typed, "placeholder": "main"})
        self.fields["folder"].help_text = f"Below {roots_in_words()}. A name alone is taken below the first."

    def clean_folder(self) -> str:
        try:
            folder = allowed_folder(str(self.cleaned_data["folder"]).strip())
        except FolderRefused as error:
            raise forms.ValidationError(str(error)) from None
        for other in Archive.objects.all():
            theirs = Path(other.folder)
            if theirs != folder and (folder.is_relative_to(theirs) or theirs.is_relative_to(folder)):
                raise forms.ValidationError(
                    f"This folder and that of {other} ({other.folder}) lie one inside the other. Choose one beside it."
                )
        return str(folder)

    def prove_folder(self) -> bool:
        """Make the folder and write to it; when that fails, say why and leave nothing behind."""
        folder = Path(self.cleaned_data["folder"])
        ours = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            try_out(FolderStore(folder))
        except StoreError as error:
            self.add_error("folder", str(error))
        except OSError as error:
            self.add_error("folder", f"The folder could not be made: {error.strerror}. Nothing was added.")
        if self.errors and ours:
            with suppress(OSError):
                folder.rmdir()
        return not self.errors
