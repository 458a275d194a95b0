"""A person who signs in, known by e-mail address."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    """Make people and find them without regard to the case of their address."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Make a person; without a password nobody can sign in as them."""
        user = self.model(email=self.normalize_email(email).strip(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user


class Role(models.TextChoices):
    """What a person is here for. What each may do is decided in `access.roles`."""

    COMPLIANCE = "compliance", "Compliance"
    ADMIN = "admin", "Admin"
    SUPERVISOR = "supervisor", "Supervisor"


class User(AbstractBaseUser, PermissionsMixin):
    """A person with one role, through the group of that name, and the tenants that they may see."""

    email = models.EmailField(
        unique=True, error_messages={"unique": "Somebody with this address is here already."}
    )
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now)
    # True: every tenant, also ones connected later. False: only those listed in `tenants`.
    all_tenants = models.BooleanField(default=True)
    tenants = models.ManyToManyField("recordings.Tenant", blank=True, related_name="people")
    # Counted up, it ends every session of this person: each knows the number of its day.
    sessions_ended = models.PositiveIntegerField(default=0, db_default=0)

    objects = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        ordering = ["email"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once_in_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session must know: that of the password, and how often sessions were ended."""
        told = str(super()._get_session_auth_hash(secret))  # type: ignore[misc]
        return f"{told}.{self.sessions_ended}" if self.sessions_ended else told

    @property
    def tenant_ids(self) -> list[int]:
        """Return the tenants that are listed, asked for once: numbers, not a question, tell PostgreSQL how much lies in them."""
        models.prefetch_related_objects(
            [self],
            models.Prefetch("tenants", self._meta.get_field("tenants").related_model.objects.only("pk")),
        )
        return [tenant.pk for tenant in self.tenants.all()]

    @property
    def initials(self) -> str:
        """Return up to two letters for the round badge."""
        words = (self.name or self.email.split("@")[0].replace(".", " ")).split()
        return "".join(word[0] for word in words[:2]).upper() or "?"

    @property
    def role(self) -> Role | None:
        """Return the person's role, or None when they are in none of the groups."""
        if not hasattr(self, "_role"):
            names = set(self.groups.values_list("name", flat=True))
            self._role = next(
                (role for role in (Role.ADMIN, Role.COMPLIANCE, Role.SUPERVISOR) if role in names), None
            )
        return self._role

    def act_as(self, role: Role) -> None:
        """Take a role for this object alone: of a program that may less than its person, or of a command."""
        self._role = role
