"""Start and stop everything with one command; `./portal` hands over to `__main__` here.

home.py        what a checkout keeps in var/: the lock, the secrets, which services run where
supervisor.py  start children, restart those that die, stop them in order
steps.py       one progress line per step; run a command and wait for it
portal.py      the commands: demo, run, manage
trial.py       the commands that leave var/ alone: test, bench

The services themselves (PostgreSQL, Valkey) are in `seaportal.embedded`.
"""


class LaunchError(Exception):
    """Say in one sentence why the portal cannot start and what to do about it."""
