"""The commands that keep running: demo and run."""

import hashlib
import http.client
import json
import os
import secrets
import socket
import time
from collections.abc import Callable

from seaportal import embedded
from seaportal.launch import LaunchError
from seaportal.launch.home import ROOT, Home
from seaportal.launch.portal import Portal, sample_server
from seaportal.launch.steps import Command, say, step
from seaportal.launch.supervisor import Child, StopRequested

SAMPLE_BUCKET, SAMPLE_CALLS = "acme-sea", "calls.csv"


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
    refuse_busy_port(port, command)
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
    (portal.home.folder / "archives").mkdir(exist_ok=True)
    services = _services(portal)
    sample = portal.home.folder / "sample"
    first = not sample.exists()
    # The first time the sample takes a while and shows how far it is; later it is a glance beside the other steps.
    making = portal.begin("demo_bucket", "--folder", str(sample))
    if first:
        _finish_sample(portal, making)
    _start_services(portal, services)
    migrating = portal.begin("migrate", "--no-input")
    _collect_static(portal)
    if not first:
        _finish_sample(portal, making)
    keys = portal.secrets["SAMPLE_ACCESS_KEY"], portal.secrets["SAMPLE_SECRET_KEY"]
    with step("S3 server") as line:
        endpoint = f"127.0.0.1:{embedded.free_port()}"
        server = sample_server(portal, sample, endpoint, keys)
        portal.supervisor.start(server)
        portal.supervisor.wait_until(server, lambda: _listens(endpoint), seconds=30)
        line.result = f"rclone on {endpoint}, holding {SAMPLE_BUCKET}"
    _finish_tables(portal, migrating)
    web = portal.start_web(port)
    with step("people, tenant") as line:
        keys_given = ("--access-key", keys[0], "--secret-key", keys[1])
        printed = portal.manage("demo_setup", "--endpoint", f"http://{endpoint}", *keys_given).printed
        made = json.loads(printed.strip().splitlines()[-1])
        line.result = f"{len(made['sign_ins'])} sign-ins, tenant {made['tenant']}, {made['archive']}"
    scanning = portal.begin("scan", "--tenant", made["tenant"])
    _start_workers(portal, web, port)
    with step("scan") as line:
        lines = portal.finish(scanning).printed.strip().splitlines()
        line.result = lines[-1] if lines else "done"
    if first:
        with step("call metadata") as line:
            calls = portal.manage("import_metadata", "--tenant", made["tenant"], str(sample / SAMPLE_CALLS))
            line.result = calls.printed.strip().splitlines()[-1]
    closing = [f"  Open http://127.0.0.1:{port}/ and sign in:", ""]
    for person in made["sign_ins"]:
        closing.append(f"    {person['role']:<12} {person['email']:<26} {person['password']}")
    return closing


def _start_run(portal: Portal, port: int) -> list[str]:
    if not portal.env.get("SEAPORTAL_SETUP_CODE"):
        portal.set("SEAPORTAL_SETUP_CODE", secrets.token_urlsafe(18))
    _start_services(portal, _services(portal))
    migrating = portal.begin("migrate", "--no-input")
    _collect_static(portal)
    _finish_tables(portal, migrating)
    asking = portal.begin("needs_setup")
    _start_workers(portal, portal.start_web(port), port)
    if portal.finish(asking, may_fail=True).code:
        return [f"  Open http://127.0.0.1:{port}/"]
    link = f"http://127.0.0.1:{port}/welcome/?code={portal.env['SEAPORTAL_SETUP_CODE']}"
    return ["  Nobody can sign in yet. Make the first admin here:", "", f"    {link}"]


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


def _finish_sample(portal: Portal, making: Command) -> None:
    with step("sample") as line:
        portal.finish(making, line=line)
        line.result = "in var/sample"


def _finish_tables(portal: Portal, migrating: Command) -> None:
    with step("tables") as line:
        portal.finish(migrating)
        line.result = "up to date"


def _collect_static(portal: Portal) -> None:
    """Collect the static files when one of them, or an installed package, changed since the last time."""
    sources = [ROOT / "static", ROOT / "recordings" / "static"]
    files = sorted(path for source in sources for path in source.rglob("*") if path.is_file())
    seen = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    seen.append((ROOT / "requirements.txt").read_text())
    target = portal.env.get("SEAPORTAL_STATIC_ROOT") or str(portal.home.folder / "static")
    now = hashlib.sha256("\n".join([*seen, target]).encode()).hexdigest()
    stamp = portal.home.folder / "static.stamp"
    with step("static files") as line:
        line.result = "unchanged"
        if not os.path.isdir(target) or not stamp.exists() or stamp.read_text() != now:
            portal.manage("collectstatic", "--no-input", "--clear", "--verbosity", "0")
            stamp.write_text(now)
            line.result = "collected"


def _start_workers(portal: Portal, web: Child, port: int) -> None:
    with step("worker, beat") as line:
        portal.start_workers()
        line.result = "started"
    with step("web") as line:
        portal.supervisor.wait_until(web, lambda: _answers(port), seconds=90)
        line.result = f"on 127.0.0.1:{port}"


def _port(command: str) -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise LaunchError(f"PORT={text} is not a port number. Example: PORT=8001 ./portal {command}")
    return int(text)


def refuse_busy_port(port: int, command: str) -> None:
    """Raise LaunchError, with another port to take, when something listens on this one."""
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
