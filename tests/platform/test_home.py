"""What a checkout keeps in var/: one owner, secrets made once, nothing left running after a crash."""

import stat
import subprocess
import sys

import psutil
import pytest

from seaportal.launch import LaunchError
from seaportal.launch.home import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "var")


def test_secrets_are_made_once_and_only_their_owner_may_read_them(home):
    made = home.secrets()
    assert made == home.secrets()
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE((home.folder / "secrets.env").stat().st_mode) == 0o600


def test_lost_secrets_are_not_replaced_while_there_is_data_that_needs_them(home):
    (home.folder / "postgres").mkdir()
    with pytest.raises(LaunchError, match=r"secrets\.env is missing.*Put the file back"):
        home.secrets()


def test_a_folder_has_one_owner_at_a_time(home):
    assert home.take("demo")
    second = Home(home.folder)
    assert not second.take("run")
    assert "./portal demo" in second.owner()


def test_what_a_killed_portal_left_running_is_ended_by_the_next_owner(home):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    home.write_state(ready=True, children=[[left.pid, psutil.Process(left.pid).create_time()]])
    assert home.take("demo")
    assert not psutil.pid_exists(left.pid)
    assert home.state() == {}


def test_a_process_number_that_was_used_again_is_left_alone(home):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    home.write_state(ready=True, children=[[other.pid, psutil.Process(other.pid).create_time() - 3600]])
    assert home.take("demo")
    assert other.poll() is None
    other.kill()
    other.wait()


def test_an_unreadable_state_counts_as_none(home):
    home.state_file.write_text("{ half")
    assert home.state() == {}
