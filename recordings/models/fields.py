"""A text field that is encrypted at rest with the portal's own keys."""

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SecretUnreadable(Exception):
    """A stored secret cannot be decrypted: FIELD_KEYS lacks the key that it was written with. Add that key at the end of FIELD_KEYS."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def box() -> MultiFernet:
    """Return the cipher for the current FIELD_KEYS: the first key writes, all of them read."""
    return _box(tuple(settings.FIELD_KEYS))


class SecretField(models.TextField):  # type: ignore[type-arg]
    """Store text encrypted; the database, its dumps and its logs never hold the clear text.

    Raises SecretUnreadable on loading when no key fits.
    """

    def get_prep_value(self, value: Any) -> Any:
        if value in (None, ""):
            return value
        return box().encrypt(str(value).encode()).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value in (None, ""):
            return value
        try:
            return box().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise SecretUnreadable from error
