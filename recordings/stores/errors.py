"""Name what can go wrong with a store. Each docstring is the sentence that people read, so it says what to do."""

from datetime import datetime


class StoreError(Exception):
    """The store gave an answer that the portal does not know. Look at the details and try again."""

    code = "store_error"
    is_files_fault = (
        False  # True: this one file failed. False: the whole store is in trouble, so work should pause.
    )

    def __init__(self, detail: str = "", *, s3_code: str = "") -> None:
        """Take a detail to show in brackets (never a secret) and the server's own error code."""
        self.detail = detail
        self.s3_code = s3_code
        self.server_time: datetime | None = None  # the server's clock, when its answer told it
        sentence = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{sentence} ({detail})" if detail else sentence)


class Unreachable(StoreError):
    """The server does not answer. Check the address, the network and the firewall (port 443, unless the address names another); nothing was changed."""

    code = "unreachable"


class NameUnknown(Unreachable):
    """The server's name is not known here. Check the address for typing errors, and this machine's DNS; nothing was changed."""

    code = "name_unknown"


class TlsFailed(StoreError):
    """The server's certificate could not be verified, so nothing was sent. Check the address and the proxy's certificate."""

    code = "tls_failed"


class EndpointRefused(StoreError):
    """This address is not allowed. Give a public https:// address; for a trial, start the portal with SEAPORTAL_PRIVATE_ENDPOINTS=true."""

    code = "endpoint_refused"


class AccessDenied(StoreError):
    """The folder is empty, or this key has no access to it; SEA gives the same answer for both. Nothing is taken to be deleted. Compare the File Location with the one in CXone."""

    code = "access_denied"


class KeyRejected(StoreError):
    """The server does not know this access key ID. Enter the current key pair from CXone; it may have been renewed."""

    code = "key_rejected"


class SignatureRejected(StoreError):
    """The secret access key does not belong to this access key ID. Enter both again, without spaces."""

    code = "signature_rejected"


class ClockSkewed(StoreError):
    """This machine's clock is too far from the server's. Set the clock (NTP), then try again."""

    code = "clock_skewed"


class Throttled(StoreError):
    """The server asks to slow down or is busy. The portal waits and goes on by itself."""

    code = "throttled"


class DatabaseBusy(Throttled):
    """The portal's own database took no connection just now. The portal goes on by itself, with fewer files at a time; let the database take more connections when this repeats."""

    code = "database_busy"


class WrongRegion(StoreError):
    """The bucket is in another region. Choose the region that the bucket is in."""

    code = "wrong_region"

    def __init__(self, detail: str = "", *, s3_code: str = "", region: str | None = None) -> None:
        """Take the right region too, when the server names it."""
        self.region = region
        super().__init__(detail or (f"it is in {region}" if region else ""), s3_code=s3_code)


class NoSuchBucket(StoreError):
    """There is no bucket of this name at this address. Compare the File Location with the one in CXone."""

    code = "no_such_bucket"


class ListingBroken(StoreError):
    """The server's listing contradicts itself, so it was not used. Try again; if it stays, report it to the server's maker."""

    code = "listing_broken"


class TooLate(StoreError):
    """The request was not sent: too much time had passed since it was permitted. It is asked about again."""

    code = "too_late"
    is_files_fault = True


class NoSuchObject(StoreError):
    """The file is not there any more. It expired, was deleted, or was renamed."""

    code = "no_such_object"
    is_files_fault = True


class Changed(StoreError):
    """The file was replaced after it was listed. The next scan takes it up as a new version."""

    code = "changed"
    is_files_fault = True


class ShortRead(StoreError):
    """Fewer or more bytes came than the file has. They were not used; the portal tries again."""

    code = "short_read"
    is_files_fault = True


class RangeRefused(StoreError):
    """The server did not send the part of the file that was asked for. Play or save the whole file instead."""

    code = "range_refused"
    is_files_fault = True


class BadPath(StoreError):
    """This path leads out of the archive or is not a file's path, so it was refused."""

    code = "bad_path"
    is_files_fault = True


class AlreadyThere(StoreError):
    """A file of this name is already in the archive. It was not touched."""

    code = "already_there"
    is_files_fault = True


class StoreFull(StoreError):
    """The archive's disk or quota is full. Make room; the portal goes on by itself."""

    code = "store_full"


class NotWritable(StoreError):
    """The archive's folder is missing, read-only, or belongs to someone else. Check the mount and its permissions."""

    code = "not_writable"


class DamagedOnTheWay(StoreError):
    """The archive's server got other bytes than those that were sent, and did not keep them. The portal tries again; check the network when this repeats."""

    code = "damaged_on_the_way"
    is_files_fault = True


class UploadEnded(StoreError):
    """Somebody ended the upload of this file before all of it was sent. The portal begins again; see that nothing but the portal gives up its uploads."""

    code = "upload_ended"
    is_files_fault = True


class ArchiveRefuses(AccessDenied, NotWritable):
    """The archive's server refuses this key. Give it the rights to list, read and write below the archive's prefix, to abort uploads, and for locked archives to set a retention."""

    code = "archive_refuses"


class ArchiveKeyRejected(KeyRejected, NotWritable):
    """The archive's server does not know this access key ID. Enter a current key pair on the archive's page."""

    code = "archive_key_rejected"


class ArchiveSecretRejected(SignatureRejected, NotWritable):
    """The secret does not belong to the archive's access key ID. Enter both again on the archive's page, without spaces."""

    code = "archive_secret_rejected"


class NoSuchArchiveBucket(NoSuchBucket, NotWritable):
    """There is no bucket of this name at the archive's address. Make it there, or correct the archive's settings."""

    code = "no_such_archive_bucket"


class ArchiveChanged(Changed):
    """The copy in the archive is not the one that was asked for: somebody replaced it. Read the archive again."""

    code = "archive_changed"


class Locked(StoreError):
    """The archive keeps this copy locked, and nobody can remove it before its lock ends. It stays; order it again after that day."""

    code = "locked"
    is_files_fault = True
