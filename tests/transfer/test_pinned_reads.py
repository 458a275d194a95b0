"""SEA is asked for the version that was listed, and the server gets to know it: at the beginning and where a line broke."""

import os

import pytest

from recordings.catalog.scan import scan
from recordings.models import Copy, Recording
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, name_of
from tests.faults.proxy import Proxy, cut

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_request_for_a_file_names_its_version(weed_s3, tmp_path):
    weed_s3.put(f"recordings/{name_of()}", os.urandom(2_000_000))
    with Proxy(weed_s3.endpoint) as proxy:
        scan(tenant=make_tenant(s3=weed_s3, endpoint=proxy.endpoint), actor="test")
        asked = []

        def note(act):
            def noting(exchange):
                headers = exchange.handler.headers
                asked.append((headers.get("If-Match"), headers.get("Range", "whole")))
                act(exchange)

            return noting

        proxy.on(note(cut(700_000)), method="GET", path=r"\.mp4", times=1)
        proxy.on(note(lambda exchange: exchange.reply(*exchange.forward())), method="GET", path=r"\.mp4")
        archive = make_archive(tmp_path / "archive")
        runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")
        save_waiting(owner=queue.me())
    etag = Copy.objects.get().etag
    assert {version for version, _ in asked} == {f'"{etag}"'}
    assert asked[0][1] == "whole" and len(asked) > 1, "the rest was asked for by its range"
