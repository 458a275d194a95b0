"""Imports point back along the line of rooms only, and storage SDKs stay behind one door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "recordings"
LINE = [
    "sea", "stores", "models", "trail", "access", "catalog", "search", "transfer", "delivery", "oversight", "forms",
    "tasks", "views", "management",
]  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if "migrations" not in path.parts)
SDKS = {"boto3", "botocore", "obstore", "arro3", "urllib3"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_rooms_before_its_own(path):
    room = room_of(path)
    if room not in LINE:
        pytest.skip("not a room: configuration of the app")
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "recordings" and len(parts) > 1 and parts[1] in LINE:
            assert LINE.index(parts[1]) <= LINE.index(room), f"{room} must not import {module}"
        if room == "sea":
            assert parts[0] in {"recordings", *__import__("sys").stdlib_module_names}, (
                f"sea/ imports {module}"
            )
        if room != "stores":
            assert parts[0] not in SDKS, f"only stores/ may import {module}"
