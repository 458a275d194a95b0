"""Start and stop everything with one command; `./portal` hands over to `__main__` here.

home.py        what a checkout keeps in var/: the lock, the secrets, which services run where
supervisor.py  start children, restart those that die, stop them in order
steps.py       one progress line per step; commands that run to their end
portal.py      the servers and programs that belong together, and the environment they share
start.py       the commands that keep running: demo, run
foreground.py  the command that uses the terminal: manage
trial.py       the commands that leave var/ alone: test, bench

The services themselves (PostgreSQL, Valkey) are in `seaportal.embedded`.
"""


class LaunchError(Exception):
    """Say in one sentence why the portal cannot start and what to do about it."""
