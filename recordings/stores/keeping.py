"""Say how a bucket is to keep what is written to it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Locks and encryption that each write asks for."""

    lock_mode: str = ""  # GOVERNANCE or COMPLIANCE; empty: no retention of our own
    lock_days: int = 0
    encryption: str = ""  # AES256 or aws:kms; empty: whatever the bucket does by itself
    kms_key: str = ""  # empty: the account's own key

    def headers(self) -> dict[str, str]:
        """Return what asks for it, with the day from now until which an object stays locked."""
        asked = dict[str, str]()
        if self.lock_mode:
            until = datetime.now(UTC) + timedelta(days=self.lock_days)
            asked["x-amz-object-lock-mode"] = self.lock_mode
            asked["x-amz-object-lock-retain-until-date"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
            asked["x-amz-sdk-checksum-algorithm"] = "SHA256"  # a lock is only given with a checksum
        if self.encryption:
            asked["x-amz-server-side-encryption"] = self.encryption
        if self.encryption == "aws:kms" and self.kms_key:
            asked["x-amz-server-side-encryption-aws-kms-key-id"] = self.kms_key
        return asked
