"""The audit trail: what people and jobs did, in a chain that shows any change.

from recordings import trail
trail.record(trail.Entry(actor="…", action=trail.Action.PLAYED, object="…"))
"""

from recordings.trail.chain import Action, Entry, Verdict, record, record_many, verify

__all__ = ["Action", "Entry", "Verdict", "record", "record_many", "verify"]
