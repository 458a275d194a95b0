"""Bundles beyond what a plain ZIP can count are read in full, checksums and all, by readers that nobody here wrote.

The large files are holes in sparse files: real zeros with their real CRC-32, which take no room on the disk.
"""

import io
import os
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings.delivery.bundle import layout
from recordings.delivery.bundle.layout import Piece
from recordings.delivery.bundle.stream import send
from recordings.models import Copy, Presence, Recording
from tests.delivery.conftest import seal
from tests.delivery.test_bundle_layout import Listed
from tests.factories import make_archive, make_tenant

AT = datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)
GIB = 1 << 30
TAIL = "behind all of it, Иванов 🙂".encode()
LARGE = {
    "a file above 4 GiB": {"Звонки/большой 🎧.mp4": 4 * GIB + 5, "more.mp4": 1000},
    "a bundle above 4 GiB": {f"Звонки/часть {n}.mp4": GIB + 7 for n in range(4)} | {"more.mp4": 1000},
}
JAVA = """
import java.io.*; import java.util.*; import java.util.zip.*;
public class Reader {
    static final byte[] room = new byte[1 << 20];
    static long files, bytes;
    static void read(ZipEntry entry, InputStream from) throws IOException {
        CRC32 seen = new CRC32(); long size = 0;
        for (int count; (count = from.read(room)) > 0; size += count) seen.update(room, 0, count);
        if (size != entry.getSize() || seen.getValue() != entry.getCrc()) throw new IOException(entry.getName());
        files++; bytes += size;
    }
    public static void main(String[] told) throws IOException {
        if (told[0].equals("file")) try (ZipFile zip = new ZipFile(told[1])) {
            for (ZipEntry one : Collections.list(zip.entries())) read(one, zip.getInputStream(one));
        } else try (ZipInputStream zip = new ZipInputStream(System.in)) {
            for (ZipEntry one; (one = zip.getNextEntry()) != null; ) read(one, zip);
        }
        System.out.println(files + " " + bytes);
    }
}
"""


def crc_of_zeros(size):
    room, seen = bytes(1 << 24), 0
    for _ in range(size >> 24):
        seen = crc32(room, seen)
    return crc32(room[: size & ((1 << 24) - 1)], seen)


@pytest.fixture(scope="module", params=LARGE)
def large(request, tmp_path_factory):
    """A bundle as a sparse file, with the sizes of what is in it."""
    sizes = LARGE[request.param] | {"tail.txt": len(TAIL)}
    known = {size: crc_of_zeros(size) for size in set(sizes.values())}
    plan = Listed(
        (name, size, crc32(TAIL) if name == "tail.txt" else known[size], AT) for name, size in sizes.items()
    )
    path = tmp_path_factory.mktemp("large") / "bundle.zip"
    with path.open("wb") as file:
        for part in layout.cut(plan, 0, plan.totals.size - 1):
            if not isinstance(part, Piece):
                file.write(part)
            elif part.item.name == "tail.txt":
                file.write(TAIL)
            else:
                file.seek(part.item.size, io.SEEK_CUR)
    assert path.stat().st_size == plan.totals.size > 4 * GIB
    assert path.stat().st_blocks * 512 < 1 << 20
    yield path, sizes
    path.unlink()


def run(command, **more):
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout


def program(*names):
    """Return the first of these programs that is installed, or skip the test with a word."""
    found = next((path for path in map(shutil.which, names) if path), None)
    return found or pytest.skip(f"{names[0]} is not installed; bundles were not read with it")


def test_unzip_finds_and_tests_what_lies_behind_four_gibibytes(large):
    """It reads a fifth as fast as the others, so of large files it tests the last one only; the night's run tests all."""
    path, sizes = large
    unzip, told, names = program("unzip"), os.environ | {"LC_ALL": "C.UTF-8"}, list(sizes)
    assert run([unzip, "-Z1", path], env=told).decode().splitlines() == names
    listed = re.findall(r"^[-?]\S+ +\S+ +\S+ +(\d+) ", run([unzip, "-Z", path], env=told).decode(), re.M)
    assert [int(size) for size in listed] == list(sizes.values())
    asked = [] if "SEAPORTAL_DEEP_TESTS" in os.environ else names[-3:]
    run([unzip, "-tqq", path, *asked], env=told)


def test_7zip_tests_all_of_a_large_bundle(large):
    run([program("7zz", "7z"), "t", large[0]])


def test_bsdtar_unpacks_all_of_a_large_bundle_from_a_pipe(large):
    path, sizes = large
    with path.open("rb") as file:
        reader = subprocess.Popen([program("bsdtar"), "-xOf", "-"], stdin=file, stdout=subprocess.PIPE)
        seen, last = 0, b""
        while chunk := reader.stdout.read(1 << 22):
            seen, last = seen + len(chunk), chunk
    assert reader.wait(60) == 0
    assert seen == sum(sizes.values()) and last.endswith(TAIL)


def test_python_reads_all_of_a_large_bundle(large):
    path, sizes = large
    with zipfile.ZipFile(path) as file:
        assert {one.filename: one.file_size for one in file.infolist()} == sizes
        assert file.testzip() is None
        assert file.read("tail.txt") == TAIL


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """A program of Java's own two readers of ZIPs, which are stricter than most."""
    folder = tmp_path_factory.mktemp("java")
    (folder / "Reader.java").write_text(JAVA)
    program("java")
    run([program("javac"), "-d", folder, folder / "Reader.java"])
    return ["java", "-Xmx256m", "-cp", str(folder), "Reader"]


@pytest.mark.parametrize("way", ["file", "stream"])
def test_java_reads_all_of_a_large_bundle(large, java, way):
    path, sizes = large
    with path.open("rb") as file:
        told = run([*java, way, path], stdin=file)
    assert told.split() == [str(len(sizes)).encode(), str(sum(sizes.values())).encode()]


MANY = 70_000


@pytest.fixture
def many(db, settings, tmp_path):
    """As many recordings as no plain ZIP can count, in an archive in which ten files stand for all of them."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    archive, tenant, now = make_archive(tmp_path / "vault"), make_tenant(), timezone.now()
    bodies = [f"звук {n} 🎧".encode() * (n + 1) for n in range(10)]
    for number, body in enumerate(bodies):
        (Path(archive.folder) / f"{number}.mp4").write_bytes(body)
    words = ("Звонок", "🎧 call", "Überweisung", "plain")
    rows = Recording.objects.bulk_create(
        (
            Recording(
                tenant=tenant, key=f"{words[n % 4]} {n:05}.mp4", size=len(bodies[n % 10]), etag=f"{n:032x}", gone_at=now,
                arrived_at=now - timedelta(days=40), contact_id=f"Клиент {n // 700}", presence=Presence.EXPIRED, saved_at=now,
            )
            for n in range(MANY)
        ),
        batch_size=5000,
    )  # fmt: skip
    known = [(sha256(body).hexdigest(), crc32(body), len(body)) for body in bodies]
    Copy.objects.bulk_create(
        (
            Copy(
                recording=row, archive=archive, path=f"{n % 10}.mp4", size=known[n % 10][2], sha256=known[n % 10][0],
                crc32=known[n % 10][1], etag=row.etag, stored_at=now, verified_at=now,
            )
            for n, row in enumerate(rows)
        ),
        batch_size=5000,
    )  # fmt: skip


@pytest.mark.skipif(
    "SEAPORTAL_DEEP_TESTS" not in os.environ, reason="takes minutes: set SEAPORTAL_DEEP_TESTS"
)
@pytest.mark.django_db(transaction=True)
def test_seventy_thousand_recordings_are_sealed_sent_read_and_right(many, ann, java, tmp_path):
    bundle = seal(Recording.objects.all(), by=ann)
    assert (bundle.state, bundle.missing, bundle.files) == ("ready", 0, MANY + 3)
    path, out = tmp_path / "bundle.zip", tmp_path / "out"
    with path.open("wb") as file:
        file.writelines(send(bundle, first=0, last=bundle.size - 1))
    assert path.stat().st_size == bundle.size
    with zipfile.ZipFile(path) as file:
        assert len(file.namelist()) == MANY + 3 and file.testzip() is None
    for names, options in ((["unzip"], ["-tqq"]), (["7zz", "7z"], ["t"]), (["bsdtar"], ["-tf"])):
        if found := next(filter(None, map(shutil.which, names)), None):
            run([found, *options, path])
    for way in ("file", "stream"):
        with path.open("rb") as file:
            assert run([*java, way, path], stdin=file).split()[0] == str(MANY + 3).encode()
    told = os.environ | {"LC_ALL": "C.UTF-8"}
    run([program("unzip"), "-qq", path, "-d", out], env=told)
    assert run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out) == b""
    assert (out / "Клиент 0").is_dir() and len(list((out / "Клиент 0").rglob("*.mp4"))) == 700
