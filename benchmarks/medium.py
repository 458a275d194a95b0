"""Say on what a folder lies, and find one where waiting for the medium costs what it costs in earnest."""

import shutil
import tempfile
from pathlib import Path

IN_MEMORY = ("tmpfs", "ramfs")


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder lies on, as the kernel names it."""
    whole, kind, longest = folder.resolve(), "unknown", -1
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, this, *_ = line.split(" ")
        mount = Path(place.replace("\\040", " "))
        if len(mount.parts) > longest and (mount == whole or mount in whole.parents):
            kind, longest = this, len(mount.parts)
    return kind


def real_disk(chosen: str = "") -> Path:
    """Return a folder for copies: the chosen one, else the first usual one that is no memory, for there an fsync is free."""
    if chosen:
        return Path(chosen)
    usual = [Path(tempfile.gettempdir()), Path(__file__).parents[1] / "var"]
    there = [folder for folder in usual if folder.is_dir()]
    return next((folder for folder in there if file_system(folder) not in IN_MEMORY), there[0])


def in_words(folder: Path) -> str:
    """Describe where copies go."""
    kind = file_system(folder)
    free = f"{shutil.disk_usage(folder).free / 1e9:.0f} GB free"
    if kind in IN_MEMORY:
        return f"{folder} ({kind}, {free}): MEMORY, where fsync is free; choose a disk with --target"
    return f"{folder} ({kind}, {free})"
