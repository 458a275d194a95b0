"""Whatever a file in SEA is called: it is listed, saved in a folder and in a bucket, read back the same, and released."""

import hashlib
import os
import random
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import Copy, Presence, Recording, Transfer
from recordings.transfer import queue, releasing, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_bucket, make_tenant, name_of
from tests.faults.invariant import body_of
from tests.services import WeedS3, client, moto, new_bucket
from tests.transfer.sea import switch_on

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "recordings/"
HOSTILE = [
    "../../../etc/passwd", "..mp4", "a/../b.mp4", "./x.mp4", "a//b.mp4", "/first.mp4", "last/", "a/./b.mp4", "...",
    " spaces around .mp4 ", "file.mp4.", "file.mp4 ", "tab\there.mp4", "new\nline.mp4", "return\r.mp4", "bell\x07.mp4",
    "delete\x7f.mp4", "escape\x1b[31m.mp4", "quotes\"'`.mp4", "back\\slash.mp4", "C:\\x.mp4", "CON", "con.mp4", "nul.mp4",
    "aux.txt", "com1.mp4", "LPT9", "a" * 900 + ".mp4", "ü" * 300 + ".mp4", "😀" * 150, "e\u0301.mp4", "\u00e9.mp4",
    "Case.mp4", "case.mp4", "CASE.MP4", "Straße.mp4", "STRASSE.mp4", "ſ.mp4", "s.mp4", "K.mp4", "\u212a.mp4",
    "right\u202eto-left4pm.mp4", "zero\u200bwidth.mp4", "\ufeffbom.mp4", "\uffff.mp4", "\U0010ffff.mp4", "a/b", "a/b/c.mp4",
    "percent%2F%2e%2e%00.mp4", "plus+and&amp;<xml>]]>.mp4", "query?versionId=1&x#part.mp4", "semi;colon=1,2.mp4",
    "-rf.mp4", "~root.mp4", "$HOME`id`.mp4", "{tenant}.mp4", "{yyyy}/{filename}", "%s%d.mp4", ".hidden.mp4", ".seaportal-check",
    "x.part", ".x.1-1.part", ".x.1-1.sums.part", "=cmd|' /C calc'!A0.mp4", "'; DROP TABLE recordings_copy; --.mp4",
]  # fmt: skip
ALPHABET = "aA./\\ %+?#&<>'\"{}~-_\r\t\x01\u0301\u00e9ß😀:*|"


def names():
    """Return the fixed names, what CXone writes itself in some forms, and more that a seeded hand throws together."""
    usual = name_of(item="x")
    chance = random.Random(7)
    thrown = ("".join(chance.choices(ALPHABET, k=chance.randint(1, 60))) for _ in range(60))
    return {*HOSTILE, usual, usual.upper(), f"sub/{usual}", f"{usual} ", *thrown}


@pytest.fixture
def bodies():
    """A body of its own for each name: which copy is whose shows in its bytes."""
    return {name: f"{number} is called {name!r}".encode() * 40 for number, name in enumerate(sorted(names()))}


@pytest.fixture
def sea(bodies):
    """moto keeps objects in memory, whatever they are called. Each is put with every byte of its name escaped.

    What its HTTP server has no way to take, line feeds among it, is no file of SEA.
    """
    with moto() as endpoint:
        server = WeedS3(endpoint, new_bucket(endpoint))
        wire = HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
        refused = list[str]()
        for name, body in bodies.items():
            path = "".join(f"%{byte:02X}" for byte in (PREFIX + name).encode())
            wire.request("PUT", f"/{server.bucket}/{path}", body=body, headers={"Content-Type": "video/mp4"})
            answer = wire.getresponse()
            answer.read()
            if answer.status != 200:
                refused.append(name)
        assert len(refused) < 5 and not set(refused) & {*HOSTILE} - {"new\nline.mp4"}, refused
        for name in refused:
            del bodies[name]
        yield server


def listed(server):
    """Return the names that another program finds there."""
    found = list[str]()
    for page in client(server).get_paginator("list_objects_v2").paginate(Bucket=server.bucket, Prefix=PREFIX):
        found += [one["Key"].removeprefix(PREFIX) for one in page.get("Contents", [])]
    return found


def test_every_name_is_saved_read_back_and_released(sea, bodies, weed_s3, tmp_path):
    assert sorted(listed(sea)) == sorted(bodies), "the server itself changed a name"
    tenant = make_tenant(s3=sea, name="emea")
    scan(tenant=tenant, actor="test")
    assert set(Recording.objects.values_list("key", flat=True)) == set(bodies)
    (tmp_path / "outside.txt").write_text("mine")
    disk, bucket = make_archive(tmp_path / "disk"), make_bucket(weed_s3)
    runs.start_run(recordings=Recording.objects.all(), archives=[disk, bucket], actor="test", title="Test")
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert not Transfer.objects.exclude(state="verified").exists()
    for archive in (disk, bucket):
        is_the_same_and_stays_inside(archive, bodies)
    assert {path.name for path in tmp_path.iterdir()} == {"outside.txt", "disk"}
    assert (tmp_path / "outside.txt").read_text() == "mine"
    assert len([path for path in Path(disk.folder).rglob("*") if path.is_file()]) == len(bodies)

    switch_on(tenant, cap=10_000)
    assert releasing.release_waiting(owner="test:1", seconds=120).released == len(bodies)
    assert listed(sea) == []
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == len(bodies)
    for archive in (disk, bucket):
        is_the_same_and_stays_inside(archive, bodies)
    assert trail.verify().intact


def is_the_same_and_stays_inside(archive, bodies):
    copies = list(Copy.objects.filter(archive=archive).select_related("archive", "recording"))
    assert len(copies) == len(bodies)
    assert len({copy.path.casefold() for copy in copies}) == len(bodies), "two names share a place"
    for copy in copies:
        body = bodies[copy.recording.key]
        assert body_of(copy) == body, f"{copy.recording.key!r} is not what SEA had"
        assert (copy.size, copy.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        with archive.store().read(copy.path) as stream:
            assert b"".join(stream.chunks()) == body
        assert copy.path.isascii() and ".." not in copy.path.split("/") and not copy.path.startswith("/")
        if archive.folder:
            whole = os.path.realpath(Path(archive.folder) / copy.path)
            assert whole.startswith(os.path.realpath(archive.folder) + "/")
