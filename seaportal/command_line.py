"""Django's command line, in which what a person can mend ends with one sentence, and not with a trace."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError, ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable

STOPPED = 130  # as shells tell Ctrl-C


def main(argv: list[str]) -> int:
    """Run one command and return its exit code. With --traceback, what went wrong shows where."""
    try:
        execute_from_command_line(argv)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)  # noqa: T201
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        return 1
    except (ImproperlyConfigured, InterfaceError, OperationalError, ProgrammingError, OSError) as error:
        sentence = _sentence(error)
        if not sentence or "--traceback" in argv:
            raise
        print(sentence, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _sentence(error: Exception) -> str:
    """Say what failed and what to do, or nothing when nobody but a programmer can mend it."""
    if isinstance(error, ProgrammingError):
        if isinstance(error.__cause__, (UndefinedTable, UndefinedColumn)):
            return "The tables are those of another version. Run ./portal manage migrate, then this again."
        return ""
    if isinstance(error, (InterfaceError, OperationalError)):
        why = next(iter(str(error).splitlines()), "it gave no reason").rstrip(".")
        return f"The database does not answer: {why}. Check DATABASE_URL and PostgreSQL, then run this again."
    if isinstance(error, OSError):
        return f"{error.filename or 'What is written'}: {error.strerror}. Mend that, then run this again."
    return str(error)
