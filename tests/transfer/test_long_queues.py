"""A long queue is no surprise to PostgreSQL, which would read all of it to find the newest transfer of one recording."""

import pytest
from django.db import connection

from recordings.models import Recording, Transfer
from recordings.transfer.runs import MANY, start_run
from tests.factories import make_archive, make_tenant

pytestmark = pytest.mark.django_db
FILL = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id, presence, missed_scans)
SELECT %s, n::text, 1, 'e', now(), '', '', '', '', 'in_sea', 0 FROM generate_series(1, %s) n
"""
KNOWN = """
SELECT c.reltuples, s.n_distinct FROM pg_class c LEFT JOIN pg_stats s ON s.tablename = c.relname AND s.attname = 'recording_id'
WHERE c.relname = 'recordings_transfer'
"""


def test_a_long_queue_is_known_to_postgresql_as_soon_as_it_is_there(
    tmp_path, django_capture_on_commit_callbacks
):
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recordings_transfer")  # as it stood while nothing was queued
        cursor.execute(FILL, [make_tenant().pk, MANY])
        with django_capture_on_commit_callbacks(execute=True):
            archive = make_archive(tmp_path)
            start_run(
                recordings=Recording.objects.all(), archives=[archive], actor="ann@example.com", title="All"
            )
        assert Transfer.objects.count() == MANY
        cursor.execute(KNOWN)
        rows, distinct = cursor.fetchone()
    assert rows == MANY and distinct == -1, "each recording is there once"
