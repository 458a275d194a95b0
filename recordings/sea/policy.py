"""The arithmetic of SEA's rules."""

from datetime import timedelta

AT_RISK = timedelta(days=7)
