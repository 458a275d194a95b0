"""One portal: the servers and programs that belong together, and the environment they share."""

import os
import shutil
import sys
from pathlib import Path

from seaportal import embedded
from seaportal.launch import LaunchError
from seaportal.launch.home import ROOT, Home
from seaportal.launch.steps import Command, Finished, Line
from seaportal.launch.supervisor import Child, Supervisor

QUEUES = "scan,transfer,media,export"


class Portal:
    """One portal that starts, runs and stops: its home, its children, and the environment they share."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home = home
        self.durable = durable
        self.supervisor = Supervisor(home.logs)
        self.supervisor.on_change = self._write_state
        self.commands: list[Command] = []
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

    def begin(self, *arguments: str) -> Command:
        """Start one of the portal's commands; `finish` it before the end of the start."""
        argv = [sys.executable, str(ROOT / "manage.py"), *arguments]
        command = Command(argv, env=self.env, cwd=ROOT, log=self.home.logs / f"{arguments[0]}.log")
        self.commands.append(command)
        return command

    def finish(self, command: Command, *, line: Line | None = None, may_fail: bool = False) -> Finished:
        """Wait for a command that was begun."""
        return command.finish(supervisor=self.supervisor, line=line, may_fail=may_fail)

    def manage(self, *arguments: str) -> Finished:
        """Run one of the portal's commands to its end."""
        return self.finish(self.begin(*arguments))

    def child(self, name: str, *argv: str, stop_seconds: float = 10) -> Child:
        """Describe one of our long-running programs."""
        return Child(
            name=name,
            argv=[sys.executable, "-m", *argv],
            env=self.env | {"PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            stop_seconds=stop_seconds,
        )

    def start_web(self, port: int) -> Child:
        """Start the web server."""
        web = self.child(
            "web",
            *(
                "gunicorn",
                "seaportal.wsgi",
                "--bind",
                f"127.0.0.1:{port}",
                "--preload",
                "--no-control-socket",
            ),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "32"),
            *("--timeout", "60", "--graceful-timeout", "5", "--keep-alive", "5"),
        )
        self.supervisor.start(web)
        return web

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
        for command in self.commands:
            command.end()
        self.supervisor.stop()
        self.home.clear_state()


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
        serves=True,
    )
