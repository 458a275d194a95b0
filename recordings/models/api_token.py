"""Tokens for programs that read through the API. Only their hash is kept."""

import hashlib
import secrets
from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

from recordings.models.user import Role

if TYPE_CHECKING:
    from recordings.models.user import User

MARK = "sea_"  # so that scanners of leaked secrets know one when they see it
SHOWN = 10  # characters that tell tokens apart on a page


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Words that narrow tokens."""

    def for_user(self, user: "User") -> "ApiTokenQuerySet":
        return self.filter(user=user)

    def valid(self) -> "ApiTokenQuerySet":
        return self.filter(revoked_at=None, user__is_active=True)


class ApiToken(models.Model):
    """One program's key. It may do what both its own role and its person's present role allow."""

    user = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)  # which program, in the person's words
    role = models.CharField(max_length=12, choices=Role)
    start = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"

    @staticmethod
    def digest(secret: str) -> str:
        """Return what is kept of a token. It has 256 random bits, so a plain hash cannot be searched."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def make(cls, *, user: "User", name: str, role: str) -> tuple["ApiToken", str]:
        """Keep a new token; return it and the secret, which nobody can be shown again."""
        secret = MARK + secrets.token_urlsafe(32)
        token = cls.objects.create(
            user=user, name=name, role=role, start=secret[:SHOWN], hash=cls.digest(secret)
        )
        return token, secret
