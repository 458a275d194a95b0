"""The nouns of the product, one file each."""

from recordings.models.alert import Alert, Kind, Severity
from recordings.models.api_token import ApiToken
from recordings.models.archive import Archive, Copy
from recordings.models.audit import AuditEntry
from recordings.models.bundle import (
    Bundle,
    BundleEntry,
    BundleFetch,
    BundleShare,
    BundleText,
    Digest,
    ShareSwitch,
)
from recordings.models.case import Case, CaseMember, CaseNote, CaseRecording
from recordings.models.day_count import DayCount
from recordings.models.export import Export, ExportChoice, ExportMail
from recordings.models.hold import Hold
from recordings.models.identity import Identity
from recordings.models.interaction import Interaction, Term
from recordings.models.job import TransferJob
from recordings.models.known_contact import ContactMark, KnownContact
from recordings.models.lane import Lane, Pause
from recordings.models.lookup import Lookup, LookupRow
from recordings.models.loss import LossNote
from recordings.models.manifest import RunManifest
from recordings.models.media import Media
from recordings.models.metadata import ColumnMapping, MalformedLine, MetadataGap, MetadataImport
from recordings.models.note import Note, RecordingTag, Tag
from recordings.models.reading import NameReading
from recordings.models.recording import Presence, Recording
from recordings.models.release import Release, ReleaseDay, ReleasePolicy, ReleaseStop
from recordings.models.removal import Deletion, Removal, RetentionDay, RetentionPolicy
from recordings.models.reread import Reread
from recordings.models.saved_search import ExportSchedule, SavedSearch
from recordings.models.scan import Scan, ScanMiss, Shard
from recordings.models.second_factor import RecoveryCode, SecondFactor
from recordings.models.table import TableChoice
from recordings.models.tenant import Tenant
from recordings.models.transfer import Run, Transfer
from recordings.models.upload import BegunUpload
from recordings.models.user import Role, User
from recordings.models.waveform import Waveform

__all__ = [
    "Alert",
    "ApiToken",
    "Archive",
    "AuditEntry",
    "BegunUpload",
    "Bundle",
    "BundleEntry",
    "BundleFetch",
    "BundleShare",
    "BundleText",
    "Case",
    "CaseMember",
    "CaseNote",
    "CaseRecording",
    "ColumnMapping",
    "ContactMark",
    "Copy",
    "DayCount",
    "Deletion",
    "Digest",
    "Export",
    "ExportChoice",
    "ExportMail",
    "ExportSchedule",
    "Hold",
    "Identity",
    "Interaction",
    "Kind",
    "KnownContact",
    "Lane",
    "Lookup",
    "LookupRow",
    "LossNote",
    "MalformedLine",
    "Media",
    "MetadataGap",
    "MetadataImport",
    "NameReading",
    "Note",
    "Pause",
    "Presence",
    "Recording",
    "RecordingTag",
    "RecoveryCode",
    "Release",
    "ReleaseDay",
    "ReleasePolicy",
    "ReleaseStop",
    "Removal",
    "Reread",
    "RetentionDay",
    "RetentionPolicy",
    "Role",
    "Run",
    "RunManifest",
    "SavedSearch",
    "Scan",
    "ScanMiss",
    "SecondFactor",
    "Severity",
    "Shard",
    "ShareSwitch",
    "TableChoice",
    "Tag",
    "Tenant",
    "Term",
    "Transfer",
    "TransferJob",
    "User",
    "Waveform",
]
