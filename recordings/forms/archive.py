"""An archive as a person types it: its kind first, then where it is. Nothing is added before a file was written to it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.db.models.expressions import DatabaseDefault

from recordings.forms.places import lock_places
from recordings.forms.probe_file import Tried, try_out
from recordings.models import Archive
from recordings.stores.layout import DEFAULT, TOKENS, Layout, LayoutRefused


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


class ArchiveForm(forms.ModelForm):
    """What archives of every kind have. Where the copies of one lie never changes, for copies are known by their place."""

    kind: ClassVar[Archive.Kind]
    place: ClassVar[tuple[str, ...]]  # fields that say where it is: asked once, when it is added
    blamed: ClassVar[str]  # the field that a failed test is told at

    class Meta:
        model = Archive
        fields = ["name", "layout", "sidecars"]
        error_messages = {"name": {"required": "Give the archive a name."}}
        help_texts = {
            "name": "Shown where people choose where to save.",
            "layout": "Folders and name of each copy, made of "
            + ", ".join(f"{{{name}}}" for name in TOKENS)
            + ".",
        }
        labels = {"layout": "Layout", "sidecars": "Write a JSON file beside each copy"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in self.initial.items():
            if isinstance(value, DatabaseDefault):  # of a new row: the database would say that it is empty
                self.initial[name] = ""
                setattr(self.instance, name, "")
        self.tried: Tried | None = None
        self.was = {name: getattr(self.instance, name) for name in self._meta.fields or ()}
        self.instance.kind = self.kind
        self.typed("name", maxlength="60")
        self.typed("layout", maxlength="300", placeholder=DEFAULT)
        self.initial["layout"] = self.initial.get("layout") or DEFAULT
        self.fields["sidecars"].widget.attrs["class"] = "ck"
        if self.instance.pk:
            for name in self.place:
                del self.fields[name]

    def typed(self, name: str, **attrs: str) -> None:
        """Let a field be a line of text that browsers neither fill in nor correct."""
        self.fields[name].widget = forms.TextInput(
            attrs={"class": "in", "autocomplete": "off", "spellcheck": "false", **attrs}
        )

    def clean_layout(self) -> str:
        """Take a template that can be read; the portal's own is kept as none."""
        text = str(self.cleaned_data["layout"]).strip()
        try:
            return "" if not text or Layout.parse(text).text == DEFAULT else text
        except LayoutRefused as error:
            raise forms.ValidationError(str(error)) from None

    @property
    def changes(self) -> list[str]:
        """Return the fields whose value is another one now, once the form is valid."""
        return [name for name, value in self.was.items() if getattr(self.instance, name) != value]

    def check_place(self) -> None:
        """Refuse a place that another archive or a tenant has, or one in it or around it."""
        raise NotImplementedError

    def still_apart(self) -> bool:
        """Look at the places of the others once more, in the transaction that writes this one; tell whether none was taken since."""
        lock_places()
        self.check_place()
        return not self.errors

    def prove(self) -> bool:
        """Write a file to the archive as it is typed, and read it back; when that fails, say why at the field."""
        self.tried = try_out(self.instance)
        if not self.tried.works:
            self.add_error(self.blamed if self.blamed in self.fields else None, self.tried.sentence)
        return not self.errors


class FolderForm(ArchiveForm):
    """A folder on a disk or a mounted share."""

    kind = Archive.Kind.FOLDER
    place = ("folder",)
    blamed = "folder"

    class Meta(ArchiveForm.Meta):
        fields = ["name", "folder", "layout", "sidecars"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "folder" in self.fields:
            self.typed("folder", placeholder="main")
            self.fields["folder"].required = True
            self.fields["folder"].error_messages["required"] = "Name the folder that the copies go to."
            self.fields[
                "folder"
            ].help_text = f"Below {roots_in_words()}. A name alone is taken below the first."

    def clean_folder(self) -> str:
        try:
            return str(allowed_folder(str(self.cleaned_data["folder"]).strip()))
        except FolderRefused as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        self.check_place()
        return told

    def check_place(self) -> None:
        """Refuse a new archive's folder inside another's, or around it."""
        if not self.cleaned_data.get("folder"):
            return
        folder = Path(self.cleaned_data["folder"])
        for other in Archive.objects.filter(kind=Archive.Kind.FOLDER):
            theirs = Path(other.folder)
            if theirs != folder and (folder.is_relative_to(theirs) or theirs.is_relative_to(folder)):
                self.add_error(
                    "folder",
                    f"This folder and that of {other} ({other.folder}) lie one inside the other. Choose one beside it.",
                )
                return

    def prove(self) -> bool:
        """Make a new archive's folder and write to it; when that fails, leave nothing behind."""
        if self.instance.pk:
            return True  # where it is has not changed
        folder = Path(self.instance.folder)
        ours = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            self.add_error("folder", f"The folder could not be made: {error.strerror}. Nothing was added.")
            return False
        if not super().prove() and ours:
            with suppress(OSError):
                folder.rmdir()
        return not self.errors
