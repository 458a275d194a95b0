"""A CXone tenant's SEA connection, and what is known about how it stands."""

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower

from recordings.models.fields import SecretField, SecretUnreadable, Unreadable
from recordings.stores.s3 import S3Store

if TYPE_CHECKING:
    from recordings.models.user import User


NO_CURRENCY = "Give the currency as a code or a sign, as EUR or €."


class TenantQuerySet(models.QuerySet["Tenant"]):
    """Words that narrow tenants."""

    def for_user(self, user: "User") -> "TenantQuerySet":
        """Keep the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(people=user)


def default_interval() -> int:
    """Return how many minutes lie between the scans of a new tenant."""
    minutes: int = settings.SCAN_EVERY_MINUTES
    return minutes


@lru_cache(maxsize=64)
def _store(
    endpoint: str, bucket: str, prefix: str, region: str, access_key: str, secret_key: str, verify_tls: bool
) -> S3Store:
    return S3Store(
        endpoint=endpoint, bucket=bucket, prefix=prefix, region=region or None,
        access_key=access_key, secret_key=secret_key, verify_tls=verify_tls,
    )  # fmt: skip


class Tenant(models.Model):
    """One set of SEA credentials and the folder that they open (facts F1, F2)."""

    name = models.CharField(
        max_length=60,
        validators=[
            RegexValidator(r"^[^/\\\x00-\x1f]+$", "A name cannot hold slashes or control characters.")
        ],
    )
    location = models.TextField()  # the File Location as the person pasted it
    endpoint = models.CharField(max_length=255)
    bucket = models.CharField(max_length=255)
    prefix = models.TextField()  # ends with "/"
    region = models.CharField(max_length=60, blank=True)
    access_key = models.CharField(max_length=128)
    secret_key = SecretField()
    verify_tls = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=60, default="UTC")  # second line of each time on screen
    created_at = models.DateTimeField(auto_now_add=True)
    scan_every_minutes = models.PositiveSmallIntegerField(
        default=default_interval, validators=[MinValueValidator(5), MaxValueValidator(1440)]
    )
    scans_paused = models.BooleanField(default=False)
    ask_reason = models.BooleanField(
        default=False
    )  # before the first play or download of a contact in a sitting
    # What CXone charges for a GB that lies in SEA for a month; nothing is told in money without it (facts F7).
    price = models.DecimalField(
        max_digits=10,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.0001"))],
    )
    currency = models.CharField(
        max_length=8, blank=True, validators=[RegexValidator(r"^[^\d\s\x00-\x1f]+$", NO_CURRENCY)]
    )
    # What is wrong with the connection, in one sentence; empty when the last contact went well.
    problem = models.TextField(blank=True)
    problem_code = models.CharField(max_length=40, blank=True)
    problem_since = models.DateTimeField(null=True, blank=True)
    suggested_region = models.CharField(max_length=60, blank=True)  # that a server named in its refusal

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="tenant_name_once",
                violation_error_message="A tenant has this name already.",
            ),
            models.UniqueConstraint(
                "endpoint",
                "bucket",
                "prefix",
                name="tenant_folder_once",
                violation_error_message="This SEA folder is connected already.",
            ),
            models.CheckConstraint(
                condition=models.Q(problem="", problem_since=None)
                | ~models.Q(problem="") & models.Q(problem_since__isnull=False),
                name="tenant_problem_has_a_since",
            ),
            models.CheckConstraint(
                condition=models.Q(scan_every_minutes__range=(5, 1440)),
                name="tenant_is_scanned_at_least_daily",
                violation_error_message="A tenant is scanned every 5 to 1,440 minutes.",
            ),
            models.CheckConstraint(
                condition=models.Q(price=None, currency="") | models.Q(price__gt=0) & ~models.Q(currency=""),
                name="tenant_price_has_a_currency",
                violation_error_message="A price has a currency, and is above zero.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def store(self) -> S3Store:
        """Return the door to the tenant's SEA folder; one per process and set of credentials.

        Raises SecretUnreadable when FIELD_KEYS do not open the stored secret.
        """
        if isinstance(self.secret_key, Unreadable):
            raise SecretUnreadable
        return _store(
            self.endpoint,
            self.bucket,
            self.prefix,
            self.region,
            self.access_key,
            self.secret_key,
            self.verify_tls,
        )
