"""Make the names under which a recording is kept in an archive: ours, never the key as it came. Layouts join them."""

import re
from hashlib import sha256

from recordings.sea.filename import parse

LONGEST_NAME = 200  # bytes; below the 255 of common file systems, so that a temporary name fits too

_PLAIN = re.compile(r"[a-z0-9.-]+\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\.|\Z)", re.IGNORECASE)


def is_canonical(key: str) -> bool:
    """Tell whether a key is a bare name in the pattern, in CXone's own case and in letters safe on every file system.

    Two such names never collide, and none has a tilde.
    """
    if "/" in key or len(key) > LONGEST_NAME:
        return False
    name = parse(key)
    return (
        name is not None
        and name.media_raw == name.media_type
        and key.endswith(".mp4")
        and all(_PLAIN.match(part) for part in (name.contact_id, name.media_type.lower(), name.item_id))
    )


def marked_name(shown: str, key: str, *, version: int = 1, tenant: str = "") -> str:
    """Return a readable name that carries a piece of the SHA-256 of the exact key; nothing else ends like that.

    Two keys never get the same name, not even where upper and lower case or Unicode forms are the same to the file
    system, nor do two versions of one key. A tenant counts too when it is given.
    """
    exact = key.encode("utf-8", "surrogatepass")
    if version > 1:
        exact += b"\0" + str(version).encode()
    if tenant:
        exact += b"\0\0" + tenant.encode("utf-8", "surrogatepass")
    mark = sha256(exact).hexdigest()[:24]
    stem, dot, extension = shown.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,10}", extension):
        stem, extension = shown, ""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-120:] or "file"
    if is_reserved(stem):
        stem = f"_{stem}"
    again = f"-v{version}" if version > 1 else ""
    return f"{stem}~{mark}{again}" + (f".{extension.lower()}" if extension else "")


def folder_name(text: str, *, otherwise: str) -> str:
    """Return a text as a folder's name: itself when it is plain, else a readable piece of it and a hash.

    Two texts never share a name. It has no dot, so it is never that of a file.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text) and not is_reserved(text):
        return text
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48] or otherwise
    return f"{slug}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def is_reserved(name: str) -> bool:
    """Tell whether Windows, and shares that it mounts, keep a name for a device."""
    return _RESERVED.match(name) is not None
