"""A command that is used wrongly, or whose surroundings fail, ends with one sentence and never with a trace."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import get_commands

from recordings.models import AuditEntry
from seaportal.command_line import main
from tests.factories import make_archive, make_recording, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
OURS = sorted(name for name, app in get_commands().items() if app == "recordings")
WRONG, USED_WRONG = 1, 2  # exit codes: something is not there; the words of the command line make no sense
INPUTS = [
    ("scan --tenant APAC", WRONG, "There is no tenant 'APAC'. Known tenants: EMEA-1."),
    ("parse_again --tenant APAC", WRONG, "There is no tenant 'APAC'"),
    ("release --tenant APAC", WRONG, "There is no tenant 'APAC'"),
    ("release --tenant EMEA-1", WRONG, "Release is switched off for EMEA-1."),
    ("import_metadata --tenant APAC {file}", WRONG, "There is no tenant 'APAC'"),
    ("import_metadata --tenant EMEA-1 {nowhere}", WRONG, "{nowhere} cannot be read: No such file or directory."),
    ("import_metadata --tenant EMEA-1 {folder}", WRONG, "{folder} cannot be read: Is a directory."),
    ("import_metadata --tenant EMEA-1 --zone Mars/North {file}", WRONG, "Mars/North"),
    ("import_metadata --tenant EMEA-1 --order upside {file}", USED_WRONG, "invalid choice: 'upside'"),
    ("transfer --job Nightly", WRONG, "There is no transfer job 'Nightly'. Known transfer jobs: none yet."),
    ("verify --archive Tape", WRONG, "There is no archive 'Tape'. Known archives: Main."),
    ("verify --archive Main --percent -5", WRONG, "Give more than 0 and at most 100 percent"),
    ("verify --archive Main --percent nan", WRONG, "Give more than 0 and at most 100 percent"),
    ("verify --archive Main --percent half", USED_WRONG, "invalid float value: 'half'"),
    ("sidecars Tape", WRONG, "There is no archive 'Tape'"),
    ("retain --archive Tape", WRONG, "There is no archive 'Tape'"),
    ("retain --archive Main", WRONG, "Main keeps its copies for ever."),
    ("manifest --run -1", WRONG, "There is no run -1. None has begun yet."),
    ("manifest --run 99999999999999999999", WRONG, "There is no run 99999999999999999999."),
    ("manifest --run last", USED_WRONG, "invalid int value: 'last'"),
    ("export_csv --query from=yesterday", WRONG, "“yesterday” is not a date; write it as 2026-11-03."),
    ("export_csv --output {nowhere}/all.csv", WRONG, "Cannot write {nowhere}/all.csv: No such file or directory."),
    ("demo_bucket --folder {folder} --now soon", WRONG, "--now soon is no date and time"),
    ("demo_bucket --folder {file}/sample", WRONG, "{file}/sample"),
    ("demo_setup --endpoint x --access-key k --secret-key s", WRONG, "Paste the File Location"),
    ("second_factor --reset nobody@example.com", WRONG, "Nobody has the e-mail address 'nobody@example.com'."),
    ("scan --tenants EMEA-1", USED_WRONG, "unrecognized arguments"),
]  # fmt: skip


def ended(words, capsys):
    """Run a command as a shell does; return its exit code and what it said, error and all."""
    try:
        code = main(["manage.py", *words])
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr()
    return code, told.out + told.err


def test_each_command_says_what_it_is_for(capsys):
    assert {"audit_verify", "scan"} <= set(OURS)
    for name in OURS:
        code, told = ended([name, "--help"], capsys)
        assert code == 0 and f"usage: manage.py {name}" in told and "-h, --help" in told


def test_what_is_wrong_is_one_sentence(capsys, tmp_path):
    make_recording(make_tenant(name="EMEA-1"))
    make_archive(tmp_path / "main", name="Main")
    file = tmp_path / "calls.csv"
    file.write_text("Contact ID,Start\n1,2026-11-03 10:00\n")
    places = {"file": str(file), "folder": str(tmp_path), "nowhere": str(tmp_path / "nowhere")}
    for line, exit_code, sentence in INPUTS:
        code, told = ended(line.format(**places).split(), capsys)
        assert code == exit_code, f"{line}: {told}"
        assert sentence.format(**places) in told, f"{line}: {told}"
        assert "Traceback" not in told


def test_a_full_disk_is_told_and_the_trail_says_that_the_export_broke(capsys, monkeypatch):
    make_recording(make_tenant())
    full = open("/dev/full", "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", full)
    assert main(["manage.py", "export_csv"]) == WRONG
    with suppress(OSError):
        full.close()
    said = capsys.readouterr().err
    assert said == "What is written: No space left on device. Mend that, then run this again.\n"
    assert AuditEntry.objects.latest("id").action == "export broken off"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "The database does not answer"),
        ({"FIELD_KEYS": ""}, "FIELD_KEYS is not set"),
    ],
)
def test_without_its_surroundings_a_command_says_what_is_missing(changes, sentence):
    done = subprocess.run(
        [sys.executable, "manage.py", "audit_verify"], env={**os.environ, **changes}, cwd=ROOT, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 1 and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
