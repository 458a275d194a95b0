"""PostgreSQL groups by the very shapes that Python computes."""

import pytest
from django.db.models import TextField, Value
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recordings.models import Recording
from recordings.models.shape import Shape
from recordings.sea.shape import shape
from tests.factories import make_recording, make_tenant

pytestmark = pytest.mark.django_db
PARTS = st.sampled_from(
    ["2026-11-03", "5f0c9a1e-88b2-4f6e-9c1d-0a7b3d2e4f5a", "deadbeef", "12345678", "a1", "-", "_", ".", "/", " ", "\n", "$",
     "\\", "'", "%s", "%", "é", "通話", "\x7f", "\x01", ".mp4", ".MP4", ".x-y", "٣", "h", "A" * 90]
)  # fmt: skip
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
NAMES = st.lists(st.one_of(PARTS, TEXT), max_size=8).map("".join)


@example(keys=["x\r\n.mp4\n", "a/b\nc/d.mp4", "1a-" * 40])
@given(keys=st.lists(NAMES, min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_python_and_postgresql_agree(db, keys):
    asked = {f"s{number}": Shape(Value(key, output_field=TextField())) for number, key in enumerate(keys)}
    told = Recording.objects.filter(pk=_one()).annotate(**asked).values(*asked).get()
    assert [told[name] for name in asked] == [shape(key) for key in keys]


def _one():
    row = Recording.objects.first() or make_recording(make_tenant())
    return row.pk
