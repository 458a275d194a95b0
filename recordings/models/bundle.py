"""A sealed bundle: what is in it, byte for byte, who fetched it, and the links under which outsiders may."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from recordings.models.case import Case

if TYPE_CHECKING:
    from recordings.models.user import User

# From the question whether it can be fetched to the row of the download; from one sign of a slow reader to the next.
LATEST = timedelta(minutes=1)
# A bundle `b` whose recordings are needed: the words of `needing_copies` in SQL.
_LATELY = f"statement_timestamp() - make_interval(secs => {LATEST.seconds})"
NEEDS_COPIES = f"""(
    b.state IN ('waiting', 'running')
    OR b.state = 'ready' AND (
        b.expires_at > {_LATELY}
        OR EXISTS (SELECT FROM recordings_bundlefetch f WHERE f.bundle_id = b.id AND f.held_until > {_LATELY})
    )
)"""


class Digest(models.Model):
    """The checksums of one recording, read in full for a bundle. One version never changes, so the next bundle takes them over."""

    recording = models.OneToOneField(
        "recordings.Recording", on_delete=models.CASCADE, primary_key=True, related_name="digest"
    )
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    crc32 = models.BigIntegerField()
    read_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.sha256


class BundleQuerySet(models.QuerySet["Bundle"]):
    """Words that narrow bundles."""

    def for_user(self, user: "User") -> "BundleQuerySet":
        """Keep the bundles that hold nothing of a tenant which this person may not see, and are for no case that they may not
        know of.
        """
        known = self.filter(models.Q(case=None) | models.Q(case__in=Case.objects.for_user(user)))
        if user.all_tenants:
            return known
        return known.filter(tenants__contained_by=list(user.tenants.values_list("id", flat=True)))

    def unfinished(self) -> "BundleQuerySet":
        return self.filter(state__in=Bundle.UNFINISHED)

    def needing_copies(self) -> "BundleQuerySet":
        """Keep the bundles that are being sealed, can still be fetched or are being sent, in database time.

        Whoever fetches one gets the bytes that were sealed, to the end of a download that began in time. The nightly clean-up
        marks what has expired hours later: the state alone would keep copies for a day too long.
        """
        sent = BundleFetch.objects.filter(bundle=models.OuterRef("pk"), held_until__gt=Now() - LATEST)
        in_reach = models.Q(expires_at__gt=Now() - LATEST) | models.Exists(sent)
        return self.filter(
            models.Q(state__in=Bundle.UNFINISHED) | models.Q(in_reach, state=Bundle.State.READY)
        )


class Bundle(models.Model):
    """Recordings to hand over as one ZIP. When it is ready, every byte of the ZIP is settled, though none is kept."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Being sealed"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"  # cannot be fetched any more; what was in it stays known
        REMOVED = "removed", "Removed"  # the same, by a person and before its time

    UNFINISHED = (State.WAITING, State.RUNNING)

    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=120)
    source = models.TextField(blank=True)  # what it was made from, in words
    query = models.TextField(blank=True)  # the search, when it was made from one
    case = models.ForeignKey(
        "recordings.Case", on_delete=models.PROTECT, null=True, blank=True, related_name="bundles"
    )
    tenants = ArrayField(models.BigIntegerField(), default=list)  # whose recordings are in it
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())  # the last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)  # tells one worker's turn from the next one's
    problem = models.TextField(blank=True)
    recordings = models.PositiveIntegerField(default=0)  # asked for
    bytes = models.BigIntegerField(default=0)  # of them
    checked = models.PositiveIntegerField(default=0)  # of them, while it is being sealed
    missing = models.PositiveIntegerField(default=0)  # of them, when it was sealed
    # The ZIP: how many files, where its directory begins and how long that is, how long all of it is.
    files = models.PositiveIntegerField(default=0)
    directory_start = models.BigIntegerField(default=0)
    directory_size = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    seal = models.CharField(max_length=64, blank=True)  # SHA-256 over its directory and SHA256SUMS: the ETag
    # All recordings were asked for then. Where they are many, a worker does that when it is wanted.
    looked_at = models.DateTimeField(null=True)
    look_asked_at = models.DateTimeField(null=True)
    look_beat_at = models.DateTimeField(null=True)
    looked = models.PositiveIntegerField(default=0)  # of them, while that goes on

    objects = BundleQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("beat_at", name="bundle_open", condition=models.Q(state__in=["waiting", "running"])),
            models.Index("expires_at", name="bundle_expiry", condition=models.Q(state="ready")),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def running(self) -> bool:
        return self.state in self.UNFINISHED

    @property
    def looking(self) -> bool:
        """Tell whether its recordings are being asked for again, before it is sent."""
        return self.to_fetch and self.look_asked_at is not None

    @property
    def percent(self) -> int:
        """Return how far the sealing is; 99 at most before it is ready."""
        return min(99, 100 * self.checked // self.recordings) if self.recordings else 0

    @property
    def to_fetch(self) -> bool:
        return (
            self.state == self.State.READY
            and self.expires_at is not None
            and self.expires_at > timezone.now()
        )

    @property
    def etag(self) -> str:
        """Return the strong validator that resumed downloads name."""
        return f'"{self.pk}-{self.seal}"'

    @property
    def file_name(self) -> str:
        return f"bundle-{self.pk}.zip"

    def covered_by(self, user: "User") -> bool:
        """Tell whether a person may see, now, every tenant whose recordings are in it."""
        return user.all_tenants or set(self.tenants) <= set(user.tenants.values_list("id", flat=True))


class BundleEntryQuerySet(models.QuerySet["BundleEntry"]):
    """Words that narrow the files of a bundle."""

    def gone(self) -> "BundleEntryQuerySet":
        """Keep the recordings that were sealed, and of which no place gave anything when it was asked last."""
        return self.exclude(gone="")


class BundleEntry(models.Model):
    """One file of a bundle. It keeps its place, name and checksums for good: what was handed over can be shown years later."""

    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE, related_name="entries", db_index=False)
    position = models.PositiveIntegerField()
    # Empty for what the portal wrote itself, such as the manifest. Rows of recordings are kept for ever.
    recording = models.ForeignKey(
        "recordings.Recording", on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False
    )
    size = models.BigIntegerField()
    modified_at = models.DateTimeField()
    sha256 = models.CharField(max_length=64, blank=True, db_default="")
    crc32 = models.BigIntegerField(null=True)
    checked = models.BooleanField(db_default=False)  # it was asked for, or read in full
    problem = models.TextField(blank=True, db_default="")  # why it is missing, as a sentence; empty: it is in
    where = models.CharField(max_length=120, blank=True, db_default="")  # where it was when it was sealed
    # Why it is in and cannot be read any more; empty: it can.
    gone = models.TextField(blank=True, db_default="")
    name = models.TextField(blank=True, db_default="", db_collation="C")
    # In the ZIP, and in its directory; null until it is sealed, and for what is missing.
    offset = models.BigIntegerField(null=True)
    directory_offset = models.BigIntegerField(null=True)

    objects = BundleEntryQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("bundle", "position", name="bundle_entry_once")]
        indexes = [
            models.Index("bundle", "offset", name="bundle_entry_offset"),
            models.Index("bundle", "directory_offset", name="bundle_entry_directory"),
            models.Index("bundle", "position", name="bundle_entry_missing", condition=~models.Q(problem="")),
            models.Index("bundle", "position", name="bundle_entry_gone", condition=~models.Q(gone="")),
        ]

    def __str__(self) -> str:
        return self.name


class BundleText(models.Model):
    """A part of a file that the portal wrote into a bundle. Kept, so that a resumed download gets it as it was."""

    entry = models.ForeignKey(BundleEntry, on_delete=models.CASCADE, related_name="texts", db_index=False)
    start = models.BigIntegerField()  # of this part in the file
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint("entry", "start", name="bundle_text_once")]

    def __str__(self) -> str:
        return f"{self.entry} from {self.start}"


class ShareSwitch(models.Model):
    """The one row that lets bundles be shared with outsiders. Off until an admin presses it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    on = models.BooleanField(default=False)
    by = models.CharField(max_length=254, blank=True)
    at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_share_switch")]

    def __str__(self) -> str:
        return "on" if self.on else "off"


class BundleShare(models.Model):
    """A link to one bundle for somebody outside. The link and its pass-phrase are known to nobody but who made it."""

    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE, related_name="shares")
    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    whom = models.CharField(max_length=120)
    token = models.CharField(max_length=64, unique=True)  # SHA-256 of it
    phrase = models.CharField(max_length=256)  # hashed as passwords are
    made_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    most = models.PositiveSmallIntegerField(default=3)  # fetches
    fetches = models.PositiveSmallIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(fetches__lte=models.F("most")), name="share_not_fetched_too_often"
            )
        ]

    def __str__(self) -> str:
        return self.whom

    @property
    def open(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()


class BundleFetch(models.Model):
    """One download of a bundle, with all the ranges in which it was taken up again."""

    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE, related_name="fetches", db_index=False)
    share = models.ForeignKey(
        BundleShare, on_delete=models.PROTECT, null=True, blank=True, related_name="fetched"
    )
    by = models.CharField(max_length=254)  # an e-mail address, or for whom the link was made
    address = models.CharField(max_length=64, blank=True)
    begun_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())
    went_on_at = models.BigIntegerField(default=0)  # the byte at which the last request began
    reached = models.BigIntegerField(default=0)  # the byte up to which it was sent
    sent = models.BigIntegerField(default=0)  # bytes, with those that were sent again
    parts = models.PositiveIntegerField(default=1)  # requests, and which of them may send
    held_until = models.DateTimeField(null=True)  # by the request that sends, while it gives signs of life

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("bundle", "id", name="bundle_fetches")]

    def __str__(self) -> str:
        return f"{self.bundle} by {self.by}"

    @property
    def came(self) -> int:
        """Return how many bytes of the bundle were sent at least once."""
        return min(self.reached, self.sent)
