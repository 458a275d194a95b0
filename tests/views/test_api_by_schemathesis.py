"""Schemathesis asks the API, in a real web server, whatever its description allows and forbids."""

import json
import subprocess
import sys

import pytest

from recordings.models import ApiToken, Role
from recordings.views.api import described
from tests.delivery.gunicorn import serving
from tests.factories import make_recording, make_tenant, make_user, name_of

pytest.importorskip("schemathesis")
# Two values that are valid alone may contradict each other: a first day after the last one is told, with a 400, and so is a word
# of the box that is not understood. A contact may not be there. An address that is too long is refused by the web server itself.
RULES = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "414"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "414", "422"]
"""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("role, scoped", [(Role.ADMIN, False), (Role.SUPERVISOR, True)])
def test_it_finds_no_failure(tmp_path, role, scoped):
    tenant, other = make_tenant(), make_tenant()
    for number in range(20):
        make_recording(tenant, key=name_of(contact=str(number % 7), item=f"i{number}"))
        make_recording(other, key=name_of(contact=str(number % 7), item=f"o{number}"))
    user = make_user(role, tenants=[tenant] if scoped else None)
    _, secret = ApiToken.make(user=user, name="Schemathesis", role=role)
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(described()))
    (tmp_path / "schemathesis.toml").write_text(RULES)
    with serving() as port:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(description),
            "--url",
            f"http://127.0.0.1:{port}",
        ]
        command += ["-H", f"Authorization: Bearer {secret}", "--max-examples", "40", "--seed", "7"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
