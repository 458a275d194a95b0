"""Put the sample into a folder: one file per planned recording, its modification time set to its arrival in SEA."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seaportal.sample import BUCKET, PREFIX
from seaportal.sample.calls import calls_csv
from seaportal.sample.clips import ALL_CLIPS, Clip, encode_all
from seaportal.sample.plan import Planned, plan

VERSION = 1
MARKER = ".made.json"  # beside the bucket, not in it: what is in the bucket is in SEA
CALLS = "calls.csv"  # what CXone would export of the sample's calls; beside the bucket too
_GETS_OLD_AFTER = timedelta(days=20)


class SampleFolderRefused(Exception):
    """The folder holds something that the sample did not make, so nothing in it is touched."""


@dataclass(frozen=True)
class Outcome:
    """What a call to `make_sample` came to."""

    made: bool  # False: a sample was there and is kept as it is
    files: int
    size: int  # bytes
    made_at: datetime
    is_old: bool  # most of its files have passed, or soon will pass, their 30 days


def make_sample(
    *, folder: Path, now: datetime, fresh: bool = False, say: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Make the sample below `folder`, or keep the one that is there.

    A finished sample is never touched (its arrivals keep ageing, as in SEA) unless `fresh` asks for a new one; one whose
    making was interrupted is made again. Raises SampleFolderRefused when the bucket's folder is somebody else's.
    """
    marker, bucket = folder / MARKER, folder / BUCKET
    state = _read(marker)
    if state is None and bucket.exists() and any(bucket.iterdir()):
        raise SampleFolderRefused(
            f"{bucket} already holds files that are not a sample: choose another --folder, or empty it first."
        )
    if state and state["state"] == "made" and bucket.is_dir() and not fresh:
        made_at = datetime.fromisoformat(state["made_at"])
        return Outcome(False, state["files"], state["size"], made_at, now - made_at > _GETS_OLD_AFTER)
    folder.mkdir(parents=True, exist_ok=True)
    _save(marker, {"version": VERSION, "state": "making", "made_at": now.isoformat()})
    if bucket.exists():
        shutil.rmtree(bucket)
    say_seldom = _at_most_once_a_second(say)
    media = encode_all(done=lambda count: say_seldom(f"sample: {count} of {len(ALL_CLIPS)} clips encoded"))
    files = plan(now=now)
    size = 0
    for number, planned in enumerate(files, start=1):
        size += _write(bucket / PREFIX / planned.name, planned, media)
        say_seldom(f"sample: {number} of {len(files)} recordings written")
    (folder / CALLS).write_text(calls_csv(files, seed=f"{now:%Y-%m-%d}"), encoding="utf-8")
    _save(
        marker,
        {"version": VERSION, "state": "made", "made_at": now.isoformat(), "files": len(files), "size": size},
    )
    return Outcome(True, len(files), size, now, False)


def _write(path: Path, planned: Planned, media: dict[Clip, bytes]) -> int:
    """Write one file, set its arrival, and return its size in bytes."""
    body = media[planned.clip] if planned.clip else planned.literal
    body = body[: int(len(body) * planned.keep)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    arrived = planned.arrived_at.timestamp()
    os.utime(path, (arrived, arrived))
    return len(body)


def _read(marker: Path) -> dict | None:
    """Return what the marker says, or None when there is none."""
    try:
        state = json.loads(marker.read_text(encoding="utf-8"))
        datetime.fromisoformat(state["made_at"])
        if state["state"] == "made":
            int(state["files"]), int(state["size"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SampleFolderRefused(
            f"{marker} cannot be read: delete {marker.parent} if it is a sample, or choose another --folder."
        ) from error
    return state


def _save(marker: Path, state: dict) -> None:
    """Write the marker so that it is either the old one or the new one, never half of one."""
    draft = marker.with_suffix(".new")
    draft.write_text(json.dumps(state) + "\n", encoding="utf-8")
    draft.replace(marker)


def _at_most_once_a_second(say: Callable[[str], None]) -> Callable[[str], None]:
    last = 0.0

    def seldom(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= 1:
            last = time.monotonic()
            say(line)

    return seldom


def parse_now(text: str | None) -> datetime:
    """Return the moment that `--now` names (UTC unless it says otherwise), or the present; raises ValueError."""
    if not text:
        return datetime.now(UTC)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
