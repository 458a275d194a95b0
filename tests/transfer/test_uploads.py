"""The portal's own uploads, written down: each belongs to one archive and to one attempt at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from recordings.models import Archive, BegunUpload
from recordings.models.upload import Book
from recordings.stores.base import StoreError, Throttled
from recordings.stores.uploads import Begun

pytestmark = pytest.mark.django_db

FIRST = Begun("na/a.mp4", "upload-1", "7-1", "7-1", "as it is")


@pytest.fixture
def book():
    return Book(Archive.objects.create(kind="s3", name="Vault", bucket="company").pk)


def test_the_next_attempt_takes_an_upload_over_once(book):
    book.note(FIRST)
    mine = book.take_over("na/a.mp4", token="7-2", keeping="as it is")
    assert mine == FIRST._replace(token="7-2"), "the object will carry the token that it was begun with"
    assert book.is_with(mine) and not book.is_with(FIRST)
    assert book.take_over("na/a.mp4", token="7-2", keeping="as it is") is None


@pytest.mark.parametrize(
    ("path", "token", "keeping"),
    [
        ("na/b.mp4", "7-2", "as it is"),
        ("na/a.mp4", "8-2", "as it is"),  # another transfer's
        ("na/a.mp4", "7-1", "as it is"),  # the same attempt
        ("na/a.mp4", "7-0", "as it is"),  # an earlier one
        ("na/a.mp4", "sidecars", "as it is"),
        ("na/a.mp4", "7-2", "locked"),
    ],
)
def test_nobody_else_gets_it(book, path, token, keeping):
    book.note(FIRST)
    assert book.take_over(path, token=token, keeping=keeping) is None
    assert book.is_with(FIRST)


def test_what_is_touched_or_ended_is_not_left(book):
    for number in (1, 2, 3):
        book.note(FIRST._replace(upload_id=f"upload-{number}"))
    old = timezone.now() - timedelta(days=2)
    BegunUpload.objects.update(touched_at=old)
    book.touch(FIRST)
    book.forget(FIRST._replace(upload_id="upload-2"))
    left = book.left(before=timezone.now() - timedelta(days=1))
    assert [one.upload_id for one in left] == ["upload-3"]


def test_a_database_that_takes_no_connection_asks_to_slow_down(book):
    """Each thread that writes parts has a connection for a moment; too many of them are no fault of the file."""
    wrong = {"HOST": "127.0.0.1", "PORT": "1"}

    def write_down():
        connection.settings_dict = {**connection.settings_dict, **wrong}
        try:
            book.note(FIRST)
        except StoreError as error:
            return error
        return None

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(write_down).result()
    assert isinstance(told, Throttled) and told.code == "database_busy" and not told.is_files_fault


def test_another_archives_uploads_are_not_in_it(book):
    other = Book(Archive.objects.create(kind="s3", name="Other", bucket="other").pk)
    other.note(FIRST)
    assert not book.is_with(FIRST) and not book.left(before=timezone.now() + timedelta(days=1))
    book.forget(FIRST)
    assert other.is_with(FIRST)
