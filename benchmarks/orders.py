"""A process that does what it is told, as a worker does: its start-up is not part of what is measured.

One line of JSON per order on its standard input, one per answer on its standard output.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Self

Answer = dict[str, Any]


class Process:
    """Our side of a bench: a context that holds the process."""

    def __init__(self, module: str, **environment: str) -> None:
        self._command = [sys.executable, "-m", module]
        self._environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "seaportal.settings", **environment}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, order: str, **details: object) -> Answer:
        """Give an order and wait for what came of it."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps({"order": order, **details}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A process of the bench ended; what it said is above.")
        answer: Answer = json.loads(line)
        return answer


def follow(orders: Mapping[str, Callable[..., Answer]]) -> None:
    """Follow orders until standard input ends."""
    import django

    django.setup()
    # As workers and the web server do: all is loaded, and left out of the garbage collector's walks.
    for module in ("recordings.tasks", "seaportal.urls"):
        import_module(module)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(orders[order.pop("order")](**order)), flush=True)
