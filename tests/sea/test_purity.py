"""This room needs nothing but the standard library."""

import ast
import sys
from pathlib import Path

import recordings.sea


def test_only_the_standard_library_is_imported():
    for path in Path(recordings.sea.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in sys.stdlib_module_names or name.startswith(
                    "recordings.sea"
                ), (path, name)
