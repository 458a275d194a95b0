"""The `portal` script and the first lines of the launcher: every refusal is a sentence that says what to do."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from seaportal.launch import LaunchError
from seaportal.launch.home import ROOT
from seaportal.launch.start import refuse_busy_port


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with nothing but the script in it: it must stop before it would install anything."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(ROOT / "portal", folder)
    return folder


def portal(checkout, *words, path="/usr/bin:/bin", **env):
    return subprocess.run(
        [checkout / "portal", *words],
        env={"PATH": path, **env},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def python(folder, *, version_ok=True, venv_ok=True):
    """A stand-in for a system's Python: a shell script that answers the script's two questions."""
    script = folder / "python"
    script.write_text(
        '#!/bin/sh\ncase "$2" in\n'
        f"*version_info*) exit {0 if version_ok else 1} ;;\n"
        f"*ensurepip*) exit {0 if venv_ok else 1} ;;\nesac\nexit 9\n"
    )
    script.chmod(0o755)
    return str(script)


def test_help_names_every_command(checkout):
    done = portal(checkout, "help")
    assert done.returncode == 0
    for command in ("demo", "run", "test", "bench", "manage"):
        assert f"./portal {command}" in done.stdout
    assert not (checkout / "var").exists()


def test_an_unknown_command_is_refused_with_the_list(checkout):
    done = portal(checkout, "dmeo")
    assert done.returncode == 1
    assert 'There is no "./portal dmeo"' in done.stderr and "./portal demo" in done.stderr


def test_a_wrong_python_is_named(checkout, tmp_path):
    wrong = python(tmp_path, version_ok=False)
    done = portal(checkout, "demo", PYTHON=wrong)
    assert done.returncode == 1
    assert f"{wrong} is not a Python 3.11" in done.stderr


def test_a_missing_python_is_said(checkout, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "mkdir", "rm", "env", "flock"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    done = portal(checkout, "demo", path=str(tools))
    assert done.returncode == 1
    assert "needs Python 3.11 and did not find it" in done.stderr


def test_a_missing_venv_module_is_said_with_the_package_to_install(checkout, tmp_path):
    done = portal(checkout, "demo", PYTHON=python(tmp_path, venv_ok=False))
    assert done.returncode == 1
    assert "apt install python3.11-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_busy_port_is_named_with_another_to_take():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=f"Port {port} is in use.*PORT={port + 1} ./portal demo"):
            refuse_busy_port(port, "demo")
