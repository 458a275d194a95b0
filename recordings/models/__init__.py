"""The nouns of the product, one file each."""

from recordings.models.archive import Archive, Copy
from recordings.models.audit import AuditEntry
from recordings.models.recording import Presence, Recording
from recordings.models.scan import Scan, ScanMiss, Shard
from recordings.models.tenant import Tenant
from recordings.models.transfer import Run, Transfer, TransferJob
from recordings.models.user import Role, User

__all__ = [
    "Archive",
    "AuditEntry",
    "Copy",
    "Presence",
    "Recording",
    "Role",
    "Run",
    "Scan",
    "ScanMiss",
    "Shard",
    "Tenant",
    "Transfer",
    "TransferJob",
    "User",
]
