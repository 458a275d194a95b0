"""Make the path under which a recording is kept in an archive: ours, never the key as it came."""

import re
from datetime import datetime
from hashlib import sha256

from recordings.sea.filename import parse

LONGEST_NAME = 200  # bytes; below the 255 of common file systems, so that a temporary name fits too

_PLAIN = re.compile(r"[a-z0-9.-]+\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)(\.|\Z)", re.IGNORECASE)


def safe_path(*, tenant: str, started_at: datetime | None, key: str, version: int = 1) -> str:
    """Return the archive path of one version of a key: tenant/2021/10/09/name.mp4, or tenant/undated/name.

    Two different keys never share a path, not even where upper and lower case or Unicode forms are the same to the file
    system: names in CXone's pattern as CXone writes them stay as they are (they cannot collide with each other); every
    other name gets a piece of the SHA-256 of its exact key, as do later versions of the same key.
    """
    name = key if version == 1 and _is_canonical(key) else _marked(key, version)
    day = "undated" if started_at is None else f"{started_at:%Y/%m/%d}"
    return f"{_folder(tenant)}/{day}/{name}"


def _is_canonical(key: str) -> bool:
    """Tell whether a key is a bare name in the pattern, in CXone's own case and in letters safe on every file system."""
    if "/" in key or len(key) > LONGEST_NAME:
        return False
    name = parse(key)
    return (
        name is not None
        and name.media_raw == name.media_type
        and key.endswith(".mp4")
        and all(_PLAIN.match(part) for part in (name.contact_id, name.media_type.lower(), name.item_id))
    )


def _marked(key: str, version: int) -> str:
    """Return a readable name that carries a piece of the exact key's hash; only such names have a tilde."""
    exact = key.encode("utf-8", "surrogatepass")
    mark = sha256(exact + b"\0" + str(version).encode() if version > 1 else exact).hexdigest()[:24]
    stem, dot, extension = key.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,10}", extension):
        stem, extension = key, ""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-120:] or "file"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    again = f"-v{version}" if version > 1 else ""
    return f"{stem}~{mark}{again}" + (f".{extension.lower()}" if extension else "")


def _folder(tenant: str) -> str:
    """Return the tenant's folder: its slug, marked with a hash when the name is not one already."""
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", tenant) and not _RESERVED.match(tenant):
        return tenant
    slug = re.sub(r"[^a-z0-9]+", "-", tenant.lower()).strip("-")[:48] or "tenant"
    return f"{slug}~{sha256(tenant.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
