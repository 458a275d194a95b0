"""Links to bundles for people outside: off until an admin allows them, and worthless without their pass-phrase."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.db import connection, transaction
from django.utils import timezone

from recordings import trail
from recordings.access import May, may
from recordings.delivery.bundle.making import record
from recordings.models import AuditEntry, Bundle, BundleShare, ShareSwitch, User

WINDOW = timedelta(minutes=15)
MOST_FOR_ONE = 10  # wrong pass-phrases for one link, from wherever
MOST_FROM_PLACE = 20  # from one address, whatever the link
WRONG = "This pass-phrase does not fit the link. Check it and try again."
TOO_MANY = "Too many tries. Wait 15 minutes, then try again."


class NotShared(Exception):
    """The bundle was not shared; the message says what to do."""


def is_on() -> bool:
    """Tell whether an admin has allowed links to outsiders."""
    return ShareSwitch.objects.filter(on=True).exists()


def switch(*, on: bool, actor: str, address: str = "") -> None:
    """Allow or stop links to outsiders. When stopped, no link answers, and all are as they were when allowed again."""
    with transaction.atomic():
        ShareSwitch.objects.update_or_create(pk=1, defaults={"on": on, "by": actor, "at": timezone.now()})
        told = trail.Entry(
            actor=actor, address=address, action=trail.Action.SHARING_SWITCHED, object="Share links", detail={"on": on}
        )  # fmt: skip
        trail.record(told)


def share(
    *, bundle: Bundle, by: User, whom: str, phrase: str, days: int, most: int, address: str = ""
) -> tuple[BundleShare, str]:
    """Make a link to a bundle; return it with its token, which nobody can be told again. Raises NotShared."""
    if not is_on():
        raise NotShared(
            "Links to outsiders are switched off. An admin can switch them on, on the page of bundles."
        )
    if not bundle.to_fetch or bundle.expires_at is None:
        raise NotShared("This bundle cannot be fetched any more. Make it again, then share it.")
    token = secrets.token_urlsafe(32)
    until = min(timezone.now() + timedelta(days=days), bundle.expires_at)
    with transaction.atomic():
        link = BundleShare.objects.create(
            bundle=bundle, by=by, whom=whom, token=_hashed(token), phrase=make_password(phrase), expires_at=until, most=most
        )  # fmt: skip
        told = {"share": link.pk, "whom": whom, "until": until.isoformat(), "most": most}
        record(bundle, trail.Action.SHARED, actor=by.email, address=address, **told)
    return link, token


def revoke(*, link: BundleShare, actor: str, address: str = "") -> None:
    """Make a link worthless, at once and for ever."""
    with transaction.atomic():
        if BundleShare.objects.filter(pk=link.pk, revoked_at=None).update(revoked_at=timezone.now()):
            told = {"share": link.pk, "whom": link.whom}
            record(link.bundle, trail.Action.SHARE_REVOKED, actor=actor, address=address, **told)


def find(token: str) -> BundleShare | None:
    """Return the link with this token, while its bundle can be fetched and whoever made it still may."""
    if not is_on():
        return None
    links = BundleShare.objects.select_related("bundle__by", "by").filter(token=_hashed(token))
    link = links.first()
    if link is None or not link.open or not link.bundle.to_fetch:
        return None
    return link if _maker_may(link) else None


def lasts(link_id: int) -> bool:
    """Tell whether what a link sends may go on. A time that is up in the middle of a download does not break it off."""
    link = BundleShare.objects.select_related("by").filter(pk=link_id, revoked_at=None).first()
    return link is not None and is_on() and _maker_may(link)


def _maker_may(link: BundleShare) -> bool:
    """Tell whether whoever made a link could fetch its bundle at this moment."""
    return may(link.by, May.DOWNLOAD) and Bundle.objects.for_user(link.by).filter(pk=link.bundle_id).exists()


def opens(link: BundleShare, phrase: str, *, address: str) -> str:
    """Check a pass-phrase; return what is wrong, or nothing.

    Refusals are counted in the trail, and tries for one link wait for each other: a hundred at once are no way around.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"share {link.pk}"])
        recent = AuditEntry.objects.filter(action=trail.Action.SHARE_REFUSED, at__gt=timezone.now() - WINDOW)
        here = recent.filter(address=address).count() >= MOST_FROM_PLACE
        if here or recent.filter(detail__share=link.pk).count() >= MOST_FOR_ONE:
            return TOO_MANY
        if check_password(phrase, link.phrase):
            return ""
        told = {"share": link.pk}
        record(link.bundle, trail.Action.SHARE_REFUSED, actor=link.whom, address=address, **told)
    return WRONG


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
