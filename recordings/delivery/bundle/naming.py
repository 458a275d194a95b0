"""Names inside a bundle: folders that a person reads, safe on Windows, and no two of them alike."""

import re
import unicodedata
from datetime import datetime

LONGEST = 150  # bytes of a folder or file name; file systems take 255, Windows counts the whole path
_FORBIDDEN = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]'
)
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe(part: str) -> str:
    """Return one folder or file name that every file system takes: no reserved word, sign or end, not too long."""
    part = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", part)).strip(" ").rstrip(". ")
    if not part:
        return "_"
    if _RESERVED.match(part):
        part = f"_{part}"
    stem, dot, ending = part.rpartition(".")
    if not dot or not stem or len(ending) > 10:
        stem, ending = part, ""
    room = LONGEST - len(f".{ending}".encode() if ending else b"")
    if len(stem.encode()) > room:
        stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return f"{stem}.{ending}" if ending else stem


def path_of(*, tenant: str, contact_id: str, at: datetime, name: str) -> str:
    """Return where a recording lies: contact, then day, in a folder of its tenant when a bundle has several of them."""
    folders = [safe(tenant)] if tenant else []
    return "/".join(
        [*folders, safe(contact_id) if contact_id else "no contact", f"{at:%Y-%m-%d}", safe(name)]
    )


class Names:
    """Give each name once, also for readers to which capital and small letters are the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def unique(self, path: str) -> str:
        """Return the path, with a number before its ending when it was given before."""
        wanted = self._folded(path)
        if wanted not in self._taken:
            self._taken.add(wanted)
            return path
        folder, _, name = path.rpartition("/")
        stem, dot, ending = name.rpartition(".")
        if not dot:
            stem, ending = name, ""
        number = self._next.get(wanted, 2)
        while True:
            new = f"{folder}/" if folder else ""
            new += f"{stem} ({number}){dot}{ending}"
            number += 1
            if self._folded(new) not in self._taken:
                break
        self._next[wanted] = number
        self._taken.add(self._folded(new))
        return new

    @staticmethod
    def _folded(path: str) -> str:
        return unicodedata.normalize("NFC", path.casefold())
