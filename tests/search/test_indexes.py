"""Each index of the recordings says why it is there, where its size is printed and in the documentation."""

from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from benchmarks.indexes import REASONS
from benchmarks.searcher import SIZES

pytestmark = pytest.mark.django_db


def test_each_index_has_a_reason_and_no_reason_is_left_of_one_that_is_gone():
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        names = {name for name, *_ in cursor.fetchall()}
    assert names == set(REASONS)


def test_the_documentation_tells_of_each():
    told = (Path(settings.BASE_DIR) / "docs/search.md").read_text()
    assert {name for name in REASONS if f"| `{name}` |" not in told} == set()
