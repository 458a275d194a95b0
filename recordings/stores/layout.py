"""Say where in an archive a copy lies: an admin's template of tokens becomes a path that is safe and one key's alone."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

from recordings.sea.filename import FileName, parse
from recordings.stores.paths import LONGEST_NAME, folder_name, is_canonical, is_reserved, marked_name

DEFAULT = "{tenant}/{yyyy}/{mm}/{dd}/{filename}"
LONGEST = (
    790  # characters of a path without its file's name: with it, less than the 1,024 that object stores take
)
LONGEST_PART = 200
LONGEST_BEFORE = 40  # of what stands before a name that carries a mark
KEY_FOLDERS = (
    6  # of a key's own folders that a path keeps, the first ones; the name's mark tells the rest apart
)
UNDATED = "undated"  # stands for the day of a recording whose name does not tell it

_PIECE = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_OF_FOLDER = re.compile(r"[A-Za-z0-9_=-]+\Z")  # no dot: a folder never has the name of a file
_OF_NAME = re.compile(r"[A-Za-z0-9_=.-]+\Z")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,10})\Z")


class LayoutRefused(Exception):
    """This template cannot say where copies lie."""


@dataclass(frozen=True)
class _Facts:
    """What tokens are made of."""

    tenant: str
    started_at: datetime | None
    key: str
    name: FileName | None  # None: the name follows no pattern


_DATES = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "hh": "%H"}  # in UTC, as CXone writes names
_ENDING = ("filename", "key")  # each names the file by all of the key, when it ends the template
_EXPAND: dict[str, Callable[[_Facts], str]] = {
    "tenant": lambda of: folder_name(of.tenant, otherwise="tenant"),
    "contact_id": lambda of: folder_name(of.name.contact_id, otherwise="c") if of.name else "unparsed",
    "media": lambda of: folder_name(of.name.media_type.lower(), otherwise="m") if of.name else "other",
    "item_id": lambda of: folder_name(of.name.item_id if of.name else _stem(of.key), otherwise="item"),
}  # fmt: skip
_WIDEST = 64  # characters of what any of them returns
TOKENS = ("tenant", *_DATES, "contact_id", "media", "item_id", *_ENDING)


@dataclass(frozen=True)
class _Piece:
    """A token, or the text between two."""

    text: str
    is_token: bool


_Part = tuple[_Piece, ...]


@dataclass(frozen=True)
class Layout:
    """A template that was read. Two keys never share a path under it, nor do two versions of one key.

    All that tells them apart is the end of the last part (see paths.file_name): so it must name the file, and what
    stands before it only sorts.
    """

    text: str
    _folders: tuple[_Part, ...]
    _last: _Part  # without the token that ends it
    _naming: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template. Raises LayoutRefused with a sentence that says what to do."""
        text = text.strip()
        if not text:
            raise LayoutRefused(f"Write a template, for example {DEFAULT}.")
        parts = [_pieces(part) for part in text.split("/")]
        if not all(parts):
            raise LayoutRefused(
                "Write something before and after each slash, and none at the beginning or the end."
            )
        *folders, last = parts
        for part in folders:
            _check_folder(part)
        naming = _check_name(last)
        if sum(map(_width, parts)) + (KEY_FOLDERS * _WIDEST if naming == "key" else 0) > LONGEST:
            raise LayoutRefused(
                f"Paths could get longer than {LONGEST} characters. Use fewer tokens or shorter words."
            )
        return cls(text, tuple(folders), last[:-1] if naming in _ENDING else last, naming)

    @property
    def keeps_names(self) -> bool:
        """Tell whether recordings named as CXone names them keep that name; else each file's name carries a mark."""
        return self._naming in _ENDING

    @property
    def parts_tenants(self) -> bool:
        """Tell whether each tenant has folders of its own."""
        return any(piece.text == "tenant" for part in self._folders for piece in part if piece.is_token)

    def path(self, *, tenant: str, started_at: datetime | None, key: str, version: int = 1) -> str:
        """Return the archive path of one version of a key: relative, plain ASCII, at most 1,000 characters."""
        facts = _Facts(tenant, started_at, key, parse(key))
        own = key.split("/")[:-1] if self._naming == "key" else []
        folders = [folder_name(one, otherwise="folder") for one in own]
        parts = [*_folders(self._folders, facts), *folders[:KEY_FOLDERS]]
        all_told = folders == own[:KEY_FOLDERS]  # each as it is, and none left out
        parts.append(self._name(facts, version, folders_tell=all_told))
        return "/".join(f"_{part}" if is_reserved(part) else part for part in parts)

    def _name(self, facts: _Facts, version: int, *, folders_tell: bool) -> str:
        """Return the file's name: CXone's own when nothing else can ever get it under this layout, else a marked one."""
        before = _expand(self._last, facts)
        if self._naming == "item_id":  # two recordings may have the same one, so it never stands alone
            dot, extension = _extension(facts.key)
            stem = before.removesuffix(dot + extension) if facts.name else _stem(facts.key)
            shown, before, plain = stem + dot + extension, "", False
        elif self._naming == "key":
            shown = _bare(facts.key)
            plain = folders_tell and is_canonical(shown)
        else:
            shown, plain = facts.key, is_canonical(facts.key)
        if plain and version == 1 and len(before) + len(shown) <= LONGEST_NAME:
            return before + shown
        # Where no folder tells tenants apart, the mark does. Two tenants' plain names could still be the same: the second
        # comes to lie beside the first under a marked name, for a copy never replaces another.
        tenant = "" if self.parts_tenants else facts.tenant
        return before[:LONGEST_BEFORE] + marked_name(shown, facts.key, version=version, tenant=tenant)


@lru_cache(maxsize=256)
def read_layout(text: str) -> Layout:
    """Return an archive's layout, the default one when none was chosen; a worker asks for each file."""
    return Layout.parse(text or DEFAULT)


def _pieces(part: str) -> _Part:
    """Cut one part of a template into tokens and the text between them."""
    pieces = list[_Piece]()
    for token, text, brace in _PIECE.findall(part):
        if brace or (not token and not text):
            raise LayoutRefused("Write each token with both of its braces, for example {tenant}.")
        if token and token not in TOKENS:
            known = ", ".join(f"{{{name}}}" for name in TOKENS)
            raise LayoutRefused(f"{{{token}}} is not a token. Use {known}.")
        pieces.append(_Piece(token or text, bool(token)))
    return tuple(pieces)


def _check_folder(part: _Part) -> None:
    for piece in part:
        if piece.is_token and piece.text in _ENDING:
            raise LayoutRefused(f"{{{piece.text}}} names the file. Put it at the end of the template.")
        if not piece.is_token and not _OF_FOLDER.match(piece.text):
            raise LayoutRefused(
                "Write folders with the letters a to z, digits, hyphens, underscores and = only."
            )
    _check_width(part)


def _check_name(part: _Part) -> str:
    """Return the token that names the file."""
    tokens = [piece.text for piece in part if piece.is_token]
    ending = [token for token in tokens if token in _ENDING]
    for piece in part:
        if not piece.is_token and not _OF_NAME.match(piece.text):
            raise LayoutRefused(
                "Write the file’s name with the letters a to z, digits, hyphens, underscores, dots and = only."
            )
    if not part[0].is_token and part[0].text.startswith("."):
        raise LayoutRefused(
            "Begin the file’s name with a letter, a digit or a token: names with a dot in front are hidden."
        )
    if not ending and "item_id" not in tokens:
        raise LayoutRefused(
            "Let the last part name the file: end the template with {filename}, {key} or {item_id}."
        )
    _check_width(part)
    if not ending:
        return "item_id"
    if len(ending) > 1 or part[-1] != _Piece(ending[0], True):
        raise LayoutRefused(
            f"Let {{{ending[0]}}} end the template, with nothing after it: the extension tells players what it is."
        )
    return ending[0]


def _check_width(part: _Part) -> None:
    if _width(part) > LONGEST_PART:
        raise LayoutRefused("One part holds too much for a file system. Put a slash between its tokens.")


def _width(part: _Part) -> int:
    """Return how many characters a part can get, its slash included; a name that would get too long is shortened."""
    wide = (_WIDEST if piece.is_token and piece.text not in _ENDING else len(piece.text) for piece in part)
    return 1 + sum(wide)


def _folders(parts: Iterable[_Part], facts: _Facts) -> Iterator[str]:
    """Yield folders; those that tell nothing but the day are one when it is not known."""
    undated = False
    for part in parts:
        tokens = [piece.text for piece in part if piece.is_token]
        is_day = facts.started_at is None and bool(tokens) and all(token in _DATES for token in tokens)
        if not is_day:
            yield _expand(part, facts)
        elif not undated:
            yield UNDATED
        undated = is_day


def _expand(part: _Part, facts: _Facts) -> str:
    """Return a part's text. Day and hour of a recording that has none are left out, but for the first."""
    said, undated = list[str](), False
    for piece in part:
        if not piece.is_token:
            said.append(piece.text)
        elif piece.text not in _DATES:
            said.append(_EXPAND[piece.text](facts))
        elif facts.started_at is not None:
            said.append(f"{facts.started_at:{_DATES[piece.text]}}")
        elif not undated:
            said.append(UNDATED)
            undated = True
    return "".join(said)


def _bare(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _stem(key: str) -> str:
    return _EXTENSION.sub("", _bare(key))


def _extension(key: str) -> tuple[str, str]:
    """Return a name's dot and extension, both empty when what follows its last dot is none."""
    found = _EXTENSION.search(_bare(key))
    return (".", found[1].lower()) if found else ("", "")
