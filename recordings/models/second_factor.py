"""A person's second factor: the secret that their authenticator app shares with the portal, and codes for when the app is gone."""

from django.conf import settings
from django.db import models

from recordings.models.fields import SecretField


class SecondFactorQuerySet(models.QuerySet["SecondFactor"]):
    """Words that narrow second factors."""

    def on(self) -> "SecondFactorQuerySet":
        """Return those that a code has confirmed: they are asked for at sign-in."""
        return self.filter(confirmed_at__isnull=False)


class SecondFactor(models.Model):
    """One for each person who has one, or is setting one up. What is pending counts only once a code confirms it."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    secret = SecretField(blank=True)  # base32, 160 bits; empty until it is confirmed
    pending = SecretField(blank=True)  # shown as a QR code, not confirmed
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_step = models.BigIntegerField(default=0)  # the newest 30 seconds whose code was used; never again

    objects = SecondFactorQuerySet.as_manager()

    def __str__(self) -> str:
        return f"the second factor of {self.user.email}"


class RecoveryCode(models.Model):
    """A code that works once instead of the app. It has 80 random bits, so a plain hash cannot be searched."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="codes")
    hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "hash"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"a recovery code of {self.factor.user.email}"
