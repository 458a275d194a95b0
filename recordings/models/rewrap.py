"""Encrypt what is stored as secret with the newest key, so that an older one can go from FIELD_KEYS."""

from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import connection, models

from recordings.models.fields import SecretField, box


@dataclass
class Rewrapped:
    """What became of the stored secrets."""

    anew: int = 0  # encrypted with the newest key now
    before: int = 0  # were so already
    unreadable: list[str] = field(default_factory=list)  # whose: no key opens them


def rewrap() -> Rewrapped:
    """Encrypt every stored secret with the first of FIELD_KEYS. What somebody types meanwhile stays as they typed it."""
    told = Rewrapped()
    for model in apps.get_models():
        for one in model._meta.get_fields():
            if isinstance(one, SecretField):
                _rewrap(model, one.column, told)
    return told


def _rewrap(model: type[models.Model], column: str, told: Rewrapped) -> None:
    """Do so for one column, past its field, which would decrypt it."""
    newest, quoted = Fernet(settings.FIELD_KEYS[0]), connection.ops.quote_name
    table, name = quoted(model._meta.db_table), quoted(column)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {name} FROM {table} WHERE {name} <> '' ORDER BY id")  # noqa: S608
        for pk, kept in cursor.fetchall():
            try:
                newest.decrypt(kept)
                told.before += 1
                continue
            except InvalidToken:
                pass
            try:
                anew = box().rotate(kept.encode()).decode()
            except InvalidToken:
                told.unreadable.append(str(model._base_manager.get(pk=pk)))
                continue
            cursor.execute(f"UPDATE {table} SET {name} = %s WHERE id = %s AND {name} = %s", [anew, pk, kept])  # noqa: S608
            told.anew += cursor.rowcount
