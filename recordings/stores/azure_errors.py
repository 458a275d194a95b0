"""Name the failures of Azure Blob Storage by the code in their text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from recordings.stores import errors
from recordings.stores.base import NoSuchObject, StoreError, Throttled, Unreachable

_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_BY_CODE: dict[str, type[StoreError]] = {
    "AuthenticationFailed": errors.ArchiveSecretRejected,
    "AuthorizationFailure": errors.ArchiveRefuses,
    "AuthorizationPermissionMismatch": errors.ArchiveRefuses,
    "InsufficientAccountPermissions": errors.ArchiveRefuses,
    "AccountIsDisabled": errors.ArchiveKeyRejected,
    "ContainerNotFound": errors.NoSuchArchiveBucket,
    "ContainerBeingDeleted": errors.NoSuchArchiveBucket,
    "ServerBusy": errors.Throttled,
    "BlobImmutableDueToPolicy": errors.Locked,
}
_BY_STATUS: dict[int, type[StoreError]] = {
    401: errors.ArchiveSecretRejected,
    403: errors.ArchiveRefuses,
    404: errors.NoSuchObject,
    412: errors.ArchiveChanged,
    416: errors.RangeRefused,
    429: errors.Throttled,
}


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn obstore's failures into the store's, by the Azure code in their text where there is one."""
    try:
        yield
    except StoreError:
        raise
    except (BaseError, OSError, ValueError) as error:
        text, name = str(error), type(error).__name__
        code, status = _CODE.search(text), _STATUS.search(text)
        kind = _BY_CODE.get(code[1]) if code else None
        if kind is None and status is not None:
            number = int(status[1])
            kind = _BY_STATUS.get(number, Throttled if number >= 500 else StoreError)
        if kind is None:
            kind = NoSuchObject if isinstance(error, FileNotFoundError) else Unreachable
        raise kind(f"{ascii(what)[1:-1][:200]}: {code[1] if code else name}") from error
