"""The portal's own web server in a process of its own, over the test's database."""

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from seaportal.embedded import free_port


@contextmanager
def serving():
    """Run gunicorn as ./portal does; give its port."""
    port = free_port()
    told = connection.settings_dict
    address = f"postgres://{told['USER']}:{told['PASSWORD']}@{told['HOST']}:{told['PORT']}/{told['NAME']}"
    environment = os.environ | {"DATABASE_URL": address, "SEAPORTAL_VAR": str(settings.VAR)}
    command = ["-m", "gunicorn", "seaportal.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", "4", "--timeout", "60"]
    server = subprocess.Popen([sys.executable, *command], env=environment, cwd=settings.BASE_DIR)
    try:
        _wait(port)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _wait(port):
    until = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).read()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
