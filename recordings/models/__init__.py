"""The nouns of the product, one file each."""

from recordings.models.alert import Alert, Kind, Severity
from recordings.models.archive import Archive, Copy
from recordings.models.audit import AuditEntry
from recordings.models.loss import LossNote
from recordings.models.reading import NameReading
from recordings.models.recording import Presence, Recording
from recordings.models.scan import Scan, ScanMiss, Shard
from recordings.models.tenant import Tenant
from recordings.models.transfer import Run, Transfer, TransferJob
from recordings.models.user import Role, User

__all__ = [
    "Alert",
    "Archive",
    "AuditEntry",
    "Copy",
    "Kind",
    "LossNote",
    "NameReading",
    "Presence",
    "Recording",
    "Role",
    "Run",
    "Scan",
    "ScanMiss",
    "Severity",
    "Shard",
    "Tenant",
    "Transfer",
    "TransferJob",
    "User",
]
