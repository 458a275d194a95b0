"""Who somebody is to the identity provider of the company."""

from django.conf import settings
from django.db import models


class Identity(models.Model):
    """The account at an identity provider that signs a person in.

    Issuer and subject together name it for good; its e-mail address may pass to somebody else (OpenID Connect Core 1.0, 5.7).
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)  # up to 255 ASCII characters, by the same standard
    linked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once"),
            models.UniqueConstraint(fields=["user", "issuer"], name="identity_one_of_each_issuer"),
        ]

    def __str__(self) -> str:
        return f"{self.user.email} at {self.issuer}"
