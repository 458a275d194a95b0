"""A recording: one object version seen in SEA, whose row is kept for ever."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Coalesce, Now

from recordings.models.shape import Shape
from recordings.sea.policy import AT_RISK

if TYPE_CHECKING:
    from recordings.models.user import User


class Presence(models.TextChoices):
    """Where the SEA object stands."""

    IN_SEA = "in_sea", "In SEA"
    RELEASED = "released", "Released"  # we deleted it after a verified copy
    EXPIRED = "expired", "Expired"  # its 30 days passed (facts F5)
    VANISHED = "vanished", "Vanished"  # gone before its time, and not by us


class RecordingQuerySet(models.QuerySet["Recording"]):
    """Words that narrow recordings; they chain."""

    def for_user(self, user: "User") -> "RecordingQuerySet":
        """Keep what lies in the tenants that this person may see."""
        if user.all_tenants:
            return self
        # 0: none; nothing at all could not be written as SQL.
        return self.filter(tenant__in=user.tenant_ids or [0])

    def in_sea(self) -> "RecordingQuerySet":
        return self.filter(presence=Presence.IN_SEA)

    def saved(self) -> "RecordingQuerySet":
        return self.filter(saved_at__isnull=False)

    def unsaved(self) -> "RecordingQuerySet":
        return self.filter(saved_at__isnull=True)

    def expiring_within(self, *, days: float) -> "RecordingQuerySet":
        """Keep what is in SEA and has at most this many days left, in database time."""
        return self.in_sea().filter(expires_at__lte=Now() + timedelta(days=days))

    def at_risk(self) -> "RecordingQuerySet":
        """Keep what may be lost soon: in SEA, not saved, 7 days or less."""
        return self.unsaved().in_sea().filter(expires_at__lte=Now() + AT_RISK)

    def lost(self) -> "RecordingQuerySet":
        """Keep what is gone from SEA and was never saved."""
        return self.unsaved().exclude(presence=Presence.IN_SEA)

    def unacknowledged(self) -> "RecordingQuerySet":
        """Keep what nobody has said of that its loss is known."""
        return self.filter(loss=None)

    def unparsed(self) -> "RecordingQuerySet":
        """Keep what has a name that follows no pattern."""
        return self.filter(started_at=None)


class ExpiresAt(models.Func):
    """Arrival + 30 days (facts F5), written so that PostgreSQL takes it as immutable."""

    template = "((%(expressions)s AT TIME ZONE 'UTC') + INTERVAL '30 days') AT TIME ZONE 'UTC'"
    output_field = models.DateTimeField()


class Apart(models.Func):
    """A tenant's number, written so that only who asks for the index of single tenants gets it.

    An index that began with the plain column would be taken for any question that names a tenant while PostgreSQL has not
    counted the rows yet, and read all of that tenant to find one contact.
    """

    template = "(%(expressions)s + 0)"
    output_field = models.BigIntegerField()


class Recording(models.Model):
    """One object version in one tenant's folder. The parts of its name are null or empty when unparsed."""

    # Not checked row by row, which would be a third of a first scan's work: each merge locks its tenant's row instead, and
    # a trigger keeps a tenant that has recordings from being deleted.
    tenant = models.ForeignKey(
        "recordings.Tenant",
        on_delete=models.PROTECT,
        related_name="recordings",
        db_index=False,
        db_constraint=False,
    )
    key = models.TextField(db_collation="C")  # byte-exact, relative to the tenant's folder
    size = models.BigIntegerField()
    etag = models.CharField(max_length=128)
    arrived_at = models.DateTimeField()  # S3 LastModified
    expires_at = models.GeneratedField(
        expression=ExpiresAt("arrived_at"), output_field=models.DateTimeField(), db_persist=True
    )
    # From the file name (facts, "File names").
    started_at = models.DateTimeField(null=True, blank=True)
    contact_id = models.TextField(blank=True, db_collation="C")
    media_type = models.TextField(blank=True)  # normalised: upper case
    media_raw = models.TextField(blank=True)  # as written
    item_id = models.TextField(blank=True)
    # Start, or arrival for a name that follows no pattern: what lists are sorted by.
    sort_at = models.GeneratedField(
        expression=Coalesce("started_at", "arrived_at"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )
    presence = models.CharField(max_length=8, choices=Presence, default=Presence.IN_SEA)
    gone_at = models.DateTimeField(null=True, blank=True)
    missed_scans = models.PositiveSmallIntegerField(default=0)  # complete scans in a row that did not list it
    first_seen_at = models.DateTimeField(db_default=Now())
    saved_at = models.DateTimeField(null=True, blank=True)
    # When the last of its copies was removed, by an archive's rule or on somebody's order. It was saved, and is not lost.
    removed_at = models.DateTimeField(null=True, blank=True)
    # Who said that its loss is known, and why; empty while it was not lost or nobody has.
    loss = models.ForeignKey(
        "recordings.LossNote", on_delete=models.PROTECT, null=True, blank=True, related_name="recordings",
        db_index=False,
    )  # fmt: skip

    objects = RecordingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key"],
                condition=models.Q(presence="in_sea"),
                name="one_live_version_per_key",
            ),
            models.CheckConstraint(
                condition=models.Q(presence="in_sea", gone_at=None)
                | ~models.Q(presence="in_sea") & models.Q(gone_at__isnull=False),
                name="gone_has_a_time",
            ),
            models.CheckConstraint(condition=models.Q(size__gte=0), name="size_is_not_negative"),
        ]
        indexes = [
            models.Index("sort_at", "id", name="recording_newest"),
            # The same within one tenant: a small or an old one is not looked for among the rows of all others.
            models.Index(Apart("tenant"), "sort_at", "id", name="recording_tenant_newest"),
            models.Index(Apart("tenant"), "arrived_at", "id", name="recording_tenant_arrived"),
            models.Index(
                OpClass("contact_id", "text_pattern_ops"),
                "sort_at",
                name="recording_contact",
                condition=~models.Q(contact_id=""),
            ),
            # The beginning of an item ID, from part of a file name.
            models.Index(
                OpClass("item_id", "text_pattern_ops"), name="recording_item", condition=~models.Q(item_id="")
            ),
            # Lists by arrival, and by expiry of what is not only in SEA; lists by size.
            models.Index("arrived_at", "id", name="recording_arrived"),
            models.Index("size", "id", name="recording_size"),
            # A key that comes back, and rows that the last complete scan did not list.
            models.Index("tenant", "key", name="recording_gone_key", condition=~models.Q(presence="in_sea")),
            models.Index("tenant", name="recording_missed", condition=models.Q(missed_scans__gt=0)),
            # Risk, the expiry chart and the order of work: only what is still in SEA.
            models.Index(
                "expires_at",
                "id",
                name="recording_expiry",
                include=["saved_at", "size"],
                condition=models.Q(presence="in_sea"),
            ),
            models.Index(
                "expires_at",
                "id",
                name="recording_unsaved",
                condition=models.Q(presence="in_sea", saved_at=None),
            ),
            # The unsaved by their start: what of a day is not saved yet or is at risk, and the newest of them.
            models.Index(
                "sort_at",
                "id",
                "expires_at",
                name="recording_unsaved_newest",
                include=["media_type", "tenant"],
                condition=models.Q(presence="in_sea", saved_at=None),
            ),
            models.Index(
                "gone_at",
                "id",
                name="recording_lost",
                include=["tenant"],
                condition=~models.Q(presence="in_sea") & models.Q(saved_at=None),
            ),
            # The alarm: lost, and nobody has said that it is known. Empty on a good day.
            models.Index(
                "tenant",
                "gone_at",
                name="recording_loss_open",
                condition=~models.Q(presence="in_sea") & models.Q(saved_at=None, loss=None),
            ),
            # Media types other than the two of nearly all files: that there are none, or few, is told without reading the others.
            models.Index(
                "media_type",
                "sort_at",
                "id",
                name="recording_rare_media",
                condition=~models.Q(media_type__in=["", "VOICE", "SCREEN"]),
            ),
            # What may be released, the oldest verification first.
            models.Index(
                "tenant",
                "saved_at",
                "id",
                name="recording_releasable",
                condition=models.Q(presence="in_sea", saved_at__isnull=False),
            ),
            # Few, for a file gone early is an incident: what reconcile looks up by its time.
            models.Index(
                "tenant", "gone_at", name="recording_vanished", condition=models.Q(presence="vanished")
            ),
            # Unparsed names: read again in this order, and told when new ones appear.
            models.Index(
                "tenant",
                "first_seen_at",
                "id",
                name="recording_unparsed",
                condition=models.Q(started_at=None),
            ),
            # All names of one shape. It is worked out for unparsed names only, when they are written.
            models.Index(
                Shape("key"), "sort_at", "id", name="recording_shape", condition=models.Q(started_at=None)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Return the file name without its folders."""
        return self.key.rsplit("/", 1)[-1]

    @property
    def parsed(self) -> bool:
        """Tell whether the file name follows the pattern."""
        return self.started_at is not None

    @property
    def in_sea(self) -> bool:
        return self.presence == Presence.IN_SEA

    @property
    def is_removed(self) -> bool:
        """Tell whether it was saved, and its copies were removed since: nobody has it any more, and nothing was lost."""
        return not self.in_sea and self.removed_at is not None

    @property
    def is_lost(self) -> bool:
        return not self.in_sea and self.saved_at is None
