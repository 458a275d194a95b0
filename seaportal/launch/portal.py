"""The commands that work on var/: demo, run, manage."""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from seaportal import embedded
from seaportal.launch import LaunchError
from seaportal.launch.home import ROOT, Home
from seaportal.launch.steps import Line, run_to_end, say, step
from seaportal.launch.supervisor import Child, StopRequested, Supervisor

SAMPLE_BUCKET = "acme-sea"
QUEUES = "scan,transfer,media,export"


class Portal:
    """One portal that starts, runs and stops: its home, its children, and the environment they share."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home = home
        self.durable = durable
        self.supervisor = Supervisor(home.logs)
        self.supervisor.on_change = self._write_state
        self.ready = False
        self.env = dict(os.environ)
        self.env.pop("PYTHONPATH", None)
        self.secrets = home.secrets()
        self.own: dict[str, str] = {"SEAPORTAL_VAR": str(home.folder)}
        self._default("SECRET_KEY", self.secrets["SECRET_KEY"])
        self._default("FIELD_KEYS", self.secrets["FIELD_KEYS"])
        # Plain HTTP on 127.0.0.1; whoever puts a TLS proxy in front sets this to true.
        self._default("SEAPORTAL_HTTPS", "false")
        self.env |= self.own

    def _default(self, name: str, value: str) -> None:
        if not self.env.get(name):
            self.set(name, value)

    def set(self, name: str, value: str) -> None:
        """Set a variable for all children, and for `./portal manage` while we run."""
        self.env[name] = self.own[name] = value

    def _write_state(self) -> None:
        self.home.write_state(
            ready=self.ready, owner=os.getpid(), env=self.own, children=self.supervisor.pids()
        )

    # --- services ---------------------------------------------------------------------------------

    def prepare_postgres(self) -> embedded.Service | None:
        """Return our PostgreSQL, not started yet; None when DATABASE_URL names another."""
        if self.env.get("DATABASE_URL"):
            return None
        service = embedded.postgres(
            folder=self.home.folder / "postgres",
            logs=self.home.logs,
            password=self.secrets["POSTGRES_PASSWORD"],
            durable=self.durable,
        )
        self.set("DATABASE_URL", service.url)
        self.env["PATH"] = f"{self.env.get('PATH', os.defpath)}:{embedded.client_programs()}"
        return service

    def prepare_valkey(self) -> embedded.Service | None:
        """Return our Valkey, not started yet; None when REDIS_URL names another."""
        if self.env.get("REDIS_URL"):
            return None
        service = embedded.valkey(
            folder=self.home.folder / "valkey", password=self.secrets["VALKEY_PASSWORD"]
        )
        self.set("REDIS_URL", service.url)
        return service

    def start_service(self, service: embedded.Service) -> None:
        """Start a server and wait until it answers."""
        self.supervisor.start(service.child)
        self.supervisor.wait_until(service.child, service.answers, seconds=60)

    def start_services(self) -> None:
        """Start the servers that the environment does not name, without a word."""
        for service in (self.prepare_postgres(), self.prepare_valkey()):
            if service is not None:
                self.start_service(service)

    def is_ready(self) -> None:
        """Let other commands use what runs."""
        self.ready = True
        self._write_state()

    # --- the product's own programs ----------------------------------------------------------------

    def manage(self, *arguments: str, line: Line | None = None, may_fail: bool = False) -> tuple[int, str]:
        """Run one of the portal's commands to its end."""
        argv = [sys.executable, str(ROOT / "manage.py"), *arguments]
        log = self.home.logs / "setup.log"
        return run_to_end(
            argv, env=self.env, cwd=ROOT, supervisor=self.supervisor, log=log, line=line, may_fail=may_fail
        )

    def child(self, name: str, *argv: str, stop_seconds: float = 10) -> Child:
        """Describe one of our long-running programs."""
        return Child(
            name=name,
            argv=[sys.executable, "-m", *argv],
            env=self.env | {"PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            stop_seconds=stop_seconds,
        )

    def start_web(self, port: int) -> None:
        """Start the web server and wait until it answers."""
        web = self.child(
            "web",
            *("gunicorn", "seaportal.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "16"),
            *("--no-control-socket", "--timeout", "60", "--graceful-timeout", "5", "--keep-alive", "5"),
        )
        self.supervisor.start(web)
        self.supervisor.wait_until(web, lambda: _answers(port), seconds=60)

    def start_workers(self) -> None:
        """Start the worker and the clock. What a stopped worker leaves half done, the next one takes up."""
        self.supervisor.start(
            self.child(
                "worker",
                *("celery", "-A", "seaportal", "worker", "-Q", QUEUES, "-c", "2"),
                *("--prefetch-multiplier", "1", "--without-gossip", "--without-mingle", "-l", "INFO"),
            )
        )
        self.supervisor.start(
            self.child(
                "beat",
                *("celery", "-A", "seaportal", "beat", "--pidfile=", "-l", "INFO"),
                *("-S", "django_celery_beat.schedulers:DatabaseScheduler"),
            )
        )

    def stop(self) -> None:
        """Stop everything and forget it."""
        self.supervisor.stop()
        self.home.clear_state()


# --- demo and run ---------------------------------------------------------------------------------------


def demo(arguments: list[str]) -> int:
    """Start everything with the sample, and keep it running."""
    return _keep_running("demo", arguments, _start_demo)


def run(arguments: list[str]) -> int:
    """Start everything without the sample, and keep it running."""
    return _keep_running("run", arguments, _start_run)


def _keep_running(command: str, arguments: list[str], start: Callable[[Portal, int], list[str]]) -> int:
    if arguments:
        raise LaunchError(f"./portal {command} takes no arguments, but got: {' '.join(arguments)}")
    port = _port(command)
    home = Home(ROOT / "var")
    if not home.take(command):
        raise LaunchError(
            f"A portal already runs in this folder: {home.owner()}. Stop it first (Ctrl-C where it was started)."
        )
    _refuse_busy_port(port, command)
    portal = Portal(home)
    portal.supervisor.listen()
    say(f"SEA Portal: {command}")
    try:
        closing = start(portal, port)
        portal.is_ready()
        say("\n" + "\n".join(closing) + "\n\n  Ctrl-C stops everything. Logs: var/log\n")
        portal.supervisor.watch(say=lambda text: say(f"  {time.strftime('%H:%M:%S')} {text}"))
    except StopRequested:
        say("\nStopping ...")
    finally:
        portal.stop()
    say("Stopped. Everything is kept in var/.")
    return 0


def _start_demo(portal: Portal, port: int) -> list[str]:
    portal.set("SEAPORTAL_PRIVATE_ENDPOINTS", "true")  # the sample's S3 server speaks plain HTTP on 127.0.0.1
    sample = portal.home.folder / "sample"
    (portal.home.folder / "archives").mkdir(exist_ok=True)
    services = _services(portal)
    with step("sample") as line:
        line.result = "in var/sample"
        portal.manage("demo_bucket", "--folder", str(sample), line=line)
    _start_services(portal, services)
    keys = portal.secrets["SAMPLE_ACCESS_KEY"], portal.secrets["SAMPLE_SECRET_KEY"]
    with step("S3 server") as line:
        endpoint = f"127.0.0.1:{embedded.free_port()}"
        server = sample_server(portal, sample, endpoint, keys)
        portal.supervisor.start(server)
        portal.supervisor.wait_until(server, lambda: _listens(endpoint), seconds=30)
        line.result = f"rclone, holding {SAMPLE_BUCKET}"
    _prepare_database(portal)
    with step("people and tenant"):
        address = f"http://{endpoint}"
        _, printed = portal.manage(
            *("demo_setup", "--endpoint", address, "--access-key", keys[0], "--secret-key", keys[1])
        )
        made = json.loads(printed.strip().splitlines()[-1])
    _start_programs(portal, port)
    with step("scan") as line:
        _, printed = portal.manage("scan", "--tenant", made["tenant"])
        line.result = (printed.strip().splitlines() or ["done"])[-1][:60]
    lines = [f"  Open http://127.0.0.1:{port}/ and sign in:", ""]
    for person in made["sign_ins"]:
        lines.append(f"    {person['role']:<12} {person['email']:<26} {person['password']}")
    return lines


def _start_run(portal: Portal, port: int) -> list[str]:
    code = secrets.token_urlsafe(18)
    if not portal.env.get("SEAPORTAL_SETUP_CODE"):
        portal.set("SEAPORTAL_SETUP_CODE", code)
    _start_services(portal, _services(portal))
    _prepare_database(portal)
    _start_programs(portal, port)
    if portal.manage("needs_setup", may_fail=True)[0] == 0:
        code = portal.env["SEAPORTAL_SETUP_CODE"]
        return [
            "  Nobody can sign in yet. Make the first admin here:",
            "",
            f"    http://127.0.0.1:{port}/welcome/?code={code}",
        ]
    return [f"  Open http://127.0.0.1:{port}/"]


def sample_server(portal: Portal, folder: Path, endpoint: str, keys: tuple[str, str]) -> Child:
    """Describe the S3 server over the sample: rclone shows each file's time as its arrival."""
    program = shutil.which(
        "rclone", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    )
    if program is None:
        raise LaunchError("rclone is not installed in .venv. Remove .venv and start again.")
    return Child(
        name="s3",
        argv=[program, "serve", "s3", "--config", os.devnull, "--addr", endpoint, str(folder)],
        # The keys go through the environment: arguments show in the list of processes.
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "RCLONE_AUTH_KEY": f'"{keys[0]},{keys[1]}"',
            "HOME": str(portal.home.folder),
        },
        cwd=folder,
        stop_seconds=5,
    )


def _services(portal: Portal) -> list[tuple[str, embedded.Service | None]]:
    return [("PostgreSQL 18", portal.prepare_postgres()), ("Valkey", portal.prepare_valkey())]


def _start_services(portal: Portal, services: list[tuple[str, embedded.Service | None]]) -> None:
    for name, service in services:
        with step(name) as line:
            if service is None:
                line.result = "yours, from the environment"
            else:
                portal.start_service(service)
                line.result = f"on {service.url.rsplit('@', 1)[1].split('/')[0]}"


def _prepare_database(portal: Portal) -> None:
    with step("tables") as line:
        portal.manage("migrate", "--no-input")
        line.result = "up to date"
    with step("static files") as line:
        portal.manage("collectstatic", "--no-input", "--verbosity", "0")
        line.result = "collected"


def _start_programs(portal: Portal, port: int) -> None:
    with step("web") as line:
        portal.start_web(port)
        line.result = f"on 127.0.0.1:{port}"
    with step("worker and beat") as line:
        portal.start_workers()
        line.result = "started"


def _port(command: str) -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise LaunchError(f"PORT={text} is not a port number. Example: PORT=8001 ./portal {command}")
    return int(text)


def _refuse_busy_port(port: int, command: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise LaunchError(
                f"This user may not open port {port}. Take one above 1023: PORT=8001 ./portal {command}"
            ) from None
        except OSError:
            other = port + 1 if port < 65535 else 8001
            raise LaunchError(
                f"Port {port} is in use by another program. Stop that, or take another port: PORT={other} ./portal {command}"
            ) from None


def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False


# --- manage ---------------------------------------------------------------------------------------------


def manage(arguments: list[str]) -> int:
    """Run one of the portal's commands against the services that run here, or against ones started for it."""
    home = Home(ROOT / "var")
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return in_foreground(_manage_argv(arguments), env=Portal(home).env)
    deadline = time.monotonic() + 60
    while not home.take("manage"):
        guest = home.guest()
        state = home.state()
        if state.get("ready"):
            return in_foreground(_manage_argv(arguments), env={**os.environ, **state["env"]})
        os.close(guest)
        if time.monotonic() > deadline:
            raise LaunchError(f"{home.owner()} is still starting in this folder. Try again in a moment.")
        time.sleep(0.2)
    portal = Portal(home)
    portal.supervisor.listen()
    try:
        portal.start_services()
        portal.is_ready()
        code = in_foreground(_manage_argv(arguments), env=portal.env)
        home.wait_for_guests()
        return code
    except StopRequested:
        return 130
    finally:
        portal.stop()


def _manage_argv(arguments: list[str]) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def in_foreground(argv: list[str], *, env: dict[str, str], cwd: Path | None = None) -> int:
    """Run a program with our terminal and return its exit code; Ctrl-C is for the program to handle."""
    env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(argv, env=env, cwd=cwd)

    def pass_on(number: int, frame: object) -> None:
        # Ctrl-C reaches the whole foreground group, so the program has it already.
        if number != signal.SIGINT:
            process.send_signal(signal.SIGINT)

    before = {n: signal.signal(n, pass_on) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
