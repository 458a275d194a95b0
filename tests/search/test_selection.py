"""All that match is what the page knew: nothing that a scan was writing just then, whatever its number."""

import psycopg
import pytest
from django.http import QueryDict

from recordings.models import Recording
from recordings.search.selection import Selection, until
from tests.factories import make_recording, make_tenant, make_user
from tests.faults.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)
INSERT = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id, presence, missed_scans)
VALUES (%s, 'late.mp4', 1, 'x', now(), '', '', '', '', 'in_sea', 0) RETURNING id
"""


def all_of(upto):
    said = QueryDict(mutable=True)
    said.update({"everything": "yes", "query": "saved=no", "upto": upto})
    return Selection.parse(said, make_user()).recordings


def test_what_a_scan_commits_after_the_page_was_made_is_not_in_it_though_its_number_is_lower():
    tenant = make_tenant()
    shown = make_recording(tenant)
    with psycopg.connect(database_url()) as scan:
        late = scan.execute(INSERT, [tenant.pk]).fetchone()[0]
        newer = make_recording(tenant)  # by another scan, which is done
        assert newer.pk > late and not Recording.objects.filter(pk=late).exists()
        upto = until()
        scan.commit()
    assert Recording.objects.filter(pk=late).exists()
    assert set(all_of(upto)) == {shown}
    assert all_of(until()).count() == 3


def test_a_bound_that_cannot_be_read_is_none():
    make_recording(make_tenant())
    for upto in ("", "7", "soon", "2026-11-03", "\x00"):
        assert all_of(upto).count() == 1, upto
