"""A text field that is encrypted at rest with the portal's own keys."""

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from recordings.stores.base import StoreError


class SecretUnreadable(StoreError):
    """The stored secret key cannot be read: FIELD_KEYS lacks the key that it was encrypted with. Put that key back at the end of FIELD_KEYS, or type the secret again on the page of the tenant or archive."""

    code = "secret_unreadable"


class Unreadable(str):
    """Stand for a secret that no key opens: empty, so that pages work, and never written back over what is stored."""


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def box() -> MultiFernet:
    """Return the cipher for the current FIELD_KEYS: the first key writes, all of them read."""
    return _box(tuple(settings.FIELD_KEYS))


class SecretField(models.TextField):  # type: ignore[type-arg]
    """Store text encrypted; the database, its dumps and its logs never hold the clear text.

    What no key opens is loaded as Unreadable.
    """

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Unreadable):
            raise SecretUnreadable
        if value in (None, ""):
            return value
        return box().encrypt(str(value).encode()).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value in (None, ""):
            return value
        try:
            return box().decrypt(value.encode()).decode()
        except InvalidToken:
            return Unreadable()
