"""Uploads in parts that the portal began in a bucket: what it may end, and where a later attempt may go on."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, models
from django.db.models.functions import Now

from recordings.stores.errors import DatabaseBusy
from recordings.stores.uploads import Begun, is_earlier


class BegunUpload(models.Model):
    """One upload that was begun and is not known to have ended. Other programs' uploads in the bucket have no row."""

    archive = models.ForeignKey("recordings.Archive", on_delete=models.CASCADE, related_name="uploads")
    path = models.TextField(db_collation="C")  # below the archive's prefix
    upload_id = models.TextField()  # the server's name for it
    token = models.CharField(max_length=64)  # transfer and epoch of the attempt that works on it
    begun_by = models.CharField(max_length=64)  # the same of the attempt that began it
    keeping = models.TextField()  # locks and encryption that were asked for
    touched_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}"


@dataclass(frozen=True)
class Book:
    """Keep one archive's uploads in the database (see UploadBook)."""

    archive: int

    def note(self, upload: Begun) -> None:
        with _for_a_moment():
            BegunUpload.objects.create(archive_id=self.archive, **upload._asdict())

    def touch(self, upload: Begun) -> None:
        with _for_a_moment():
            self._rows(upload).filter(token=upload.token).update(touched_at=Now())

    def take_over(self, path: str, *, token: str, keeping: str) -> Begun | None:
        with _for_a_moment():
            for row in BegunUpload.objects.filter(archive=self.archive, path=path, keeping=keeping):
                mine = BegunUpload.objects.filter(pk=row.pk, token=row.token)
                if is_earlier(row.token, token) and mine.update(token=token, touched_at=Now()):
                    return _begun(row)._replace(token=token)
        return None

    def is_with(self, upload: Begun) -> bool:
        with _for_a_moment():
            return self._rows(upload).filter(token=upload.token).exists()

    def forget(self, upload: Begun) -> None:
        with _for_a_moment():
            self._rows(upload).delete()

    def left(self, *, before: datetime) -> Sequence[Begun]:
        return [
            _begun(row)
            for row in BegunUpload.objects.filter(archive=self.archive, touched_at__lt=before).order_by("pk")
        ]

    def _rows(self, upload: Begun) -> models.QuerySet[BegunUpload]:
        return BegunUpload.objects.filter(archive=self.archive, path=upload.path, upload_id=upload.upload_id)


def _begun(row: BegunUpload) -> Begun:
    return Begun(row.path, row.upload_id, row.token, row.begun_by, row.keeping)


@contextmanager
def _for_a_moment() -> Iterator[None]:
    """Use a connection for one statement, and leave none open in a pool's thread: nobody would close it there.

    One that is not to be had, when many threads ask at once, is no fault of the file: DatabaseBusy says to slow down.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if _is_without_connection(error):
            raise DatabaseBusy from error
        raise
    finally:
        if threading.current_thread() is not threading.main_thread() and not connection.in_atomic_block:
            connection.close()


def _is_without_connection(error: Exception) -> bool:
    """Tell whether there is no connection: none was made, it broke, there are too many, or the server is stopping.

    A full disk or a statement that took too long also come as OperationalError, and do not pass by waiting a little.
    """
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(("08", "53300", "57P"))
