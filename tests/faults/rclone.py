"""Let rclone, another program, read both ends in full and compare them."""

import os
import subprocess
from pathlib import Path
from typing import Any

from recordings.models import Archive, Copy
from tests.services import program


def another_program_agrees(source: Any, archive: Archive, files: int) -> None:
    """Require that an archive has exactly what a SEA folder has, or what a folder of files has that was kept from it."""
    paths = Copy.objects.filter(archive=archive).values_list("path", flat=True)
    (folder,) = {path.rpartition("/")[0] for path in paths}
    here = str(source) if isinstance(source, Path) else f"{_remote(source)}:{source.bucket}/recordings"
    there = f"{archive.folder}/{folder}"
    if archive.kind == Archive.Kind.S3:
        there = f"{_remote(archive)}:{archive.bucket}/{archive.prefix}{folder}"
    told = subprocess.run(
        [program("rclone"), "check", "--download", "--exclude", ".*.part", "--config", os.devnull, here, there],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0 and f"{files} matching files" in told.stderr, told.stderr


def _remote(server: Any) -> str:
    """Return how rclone calls an S3 server."""
    return (
        f":s3,provider=Other,access_key_id={server.access_key},secret_access_key={server.secret_key},"
        f"endpoint='{server.endpoint}'"
    )
