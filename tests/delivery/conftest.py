"""What the tests of handed-over bundles share: recordings that lie in an archive, sealed, and a link to them."""

import random
import re
from hashlib import sha256

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings.delivery.bundle import making, sharing
from recordings.models import Copy, Presence, Recording, Role
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user, name_of

PHRASE = "correct horse battery"


def add_archived(tenant, archive, body, *, item, **extra):
    """Make a recording that has left SEA, and whose copy lies in an archive in a folder."""
    row = make_recording(
        tenant, key=extra.pop("key", "") or name_of(contact="5000", item=item), size=len(body), saved=True,
        presence=Presence.EXPIRED, gone_at=timezone.now(), **extra,
    )  # fmt: skip
    archive.store().write(row.key, [body], size=len(body), token="t-1")
    copy = make_copy(row, archive, sha256=sha256(body).hexdigest())
    Copy.objects.filter(pk=copy.pk).update(crc32=crc32(body))
    return row


def seal(recordings, *, by, title="For Miller"):
    """Seal a bundle and return it."""
    bundle = making.ask(user=by, recordings=recordings, title=title, source="a search")
    making.make(bundle_id=bundle.pk)
    bundle.refresh_from_db()
    return bundle


def body_of(response):
    """Read an answer to its end, as a browser does."""
    data = b"".join(response.streaming_content)
    response.close()
    return data


def take(address, ranged=None, *, client=None, **headers):
    """Ask for a range and read all of the answer."""
    headers |= {"Range": f"bytes={ranged}"} if ranged else {}
    return body_of((client or Client()).get(address, headers=headers))


@pytest.fixture
def ann(db):
    return make_user(Role.COMPLIANCE, email="ann@example.com")


@pytest.fixture
def signed_in(ann):
    client = Client()
    client.force_login(ann)
    return client


@pytest.fixture
def vault(db, settings, tmp_path):
    """An archive in a folder with five recordings that nothing else has."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    archive, tenant = make_archive(tmp_path / "vault", name="Vault"), make_tenant()
    for number in range(5):
        add_archived(tenant, archive, random.Random(number).randbytes(20_000), item=f"v-{number}")
    return archive


@pytest.fixture
def bundle(vault, ann):
    return seal(Recording.objects.all(), by=ann)


@pytest.fixture
def link(signed_in, bundle):
    """The page of a link that may be used twice."""
    sharing.switch(on=True, actor="root@example.com")
    told = {"whom": "Smith & Partners", "days": 7, "most": 2, "phrase": PHRASE}
    answer = signed_in.post(reverse("bundle_share", args=[bundle.pk]), told)
    return re.search(r"http://testserver(/share/[^<]+)<", answer.content.decode()).group(1)


@pytest.fixture
def shared(link):
    """The address that an outsider got for the pass-phrase."""
    page = Client().post(link, {"phrase": PHRASE}).content.decode()
    return re.search(r'href="http://testserver(/share/[^"]+)"', page).group(1)
