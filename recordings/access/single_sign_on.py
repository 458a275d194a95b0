"""Single sign-on: the company's identity provider says who somebody is, and an admin of the portal has said what they may do.

Whom it names is let in as the person whom an admin added under that e-mail address. From then on the account counts by
which they came (issuer and subject), for an address can pass from one person to another.

from recordings.access import single_sign_on
user = single_sign_on.sign_in(claims, address="10.0.0.7")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from recordings import trail
from recordings.access.second_factor import end_sessions
from recordings.models import Identity, User

OFF = "{} is switched off here. Ask an admin of the portal."
_KEY = "single_sign_on"


@dataclass(frozen=True)
class Claims:
    """What the provider says of somebody, once it is proven that it was the provider who said so."""

    issuer: str  # without a slash behind it
    subject: str
    email: str
    verified: bool  # the provider vouches that the address is theirs


class Unproven(Exception):
    """What came back does not prove who somebody is; the text is for the log."""


class OutOfTime(Unproven):
    """It answers a question that this browser did not ask, or asked too long ago."""


class Refused(Unproven):
    """The provider itself says no."""


class Away(Exception):
    """The provider does not answer, or not as one does; the text is for the log."""


class NotLetIn(Exception):
    """Why somebody whom the provider knows is not let in, as a sentence for them."""


def is_on() -> bool:
    """Tell whether there is an identity provider."""
    return bool(settings.OIDC_ISSUER)


def is_the_only_way() -> bool:
    """Tell whether passwords are taken no more."""
    return is_on() and bool(settings.OIDC_ONLY)


def name() -> str:
    """Return what people call the provider; nothing when there is none."""
    return settings.OIDC_NAME if is_on() else ""


def came_by(session: SessionBase) -> bool:
    """Tell whether this session began with the provider: then it is the provider who asks for a second factor."""
    return is_on() and bool(session.get(_KEY))


def mark(session: SessionBase) -> None:
    """Remember that this session began with the provider."""
    session[_KEY] = True


def identities() -> QuerySet[Identity]:
    """Return the accounts of people at the present provider; its issuer counts without the slash that some write behind it."""
    return Identity.objects.filter(issuer=settings.OIDC_ISSUER.rstrip("/"))


def sign_in(claims: Claims, *, address: str) -> User:
    """Return who this is, and tell the trail that they are in. Raises NotLetIn, having told the trail of that."""
    try:
        with transaction.atomic():
            user = _person(claims, address)
            _tell(trail.Action.SIGNED_IN, "SEA Portal", user.email, address, {"with": name()})
    except NotLetIn as error:
        thing = claims.email or f"account {claims.subject}"
        _tell(trail.Action.SINGLE_SIGN_ON_REFUSED, thing, name(), address, {"why": str(error)})
        raise
    return user


@transaction.atomic
def unlink(user: User, *, by: str, reason: str, address: str = "") -> None:
    """Forget a person's account at the provider, and end their sessions: the next one with their address becomes theirs."""
    identities().filter(user=user).delete()
    end_sessions(user)
    _tell(trail.Action.IDENTITY_UNLINKED, user.email, by, address, {"reason": reason})


def _person(claims: Claims, address: str) -> User:
    if known := _linked(claims):
        return known
    if not claims.email:
        raise NotLetIn(
            f"{name()} does not tell your e-mail address. Ask those who run it to release it to this portal."
        )
    if not claims.verified and not settings.OIDC_TRUST_EMAIL:
        raise NotLetIn(
            f"{name()} does not vouch that {claims.email} is yours. Confirm the address there, then try again."
        )
    near = User.objects.filter(email__iexact=claims.email)
    user = next((one for one in near if _folded(one.email) == _folded(claims.email)), None)
    if user is None:
        raise NotLetIn(
            f"Nobody with the address {claims.email} was added here yet. Ask an admin of the portal."
        )
    if not user.is_active:
        raise NotLetIn(OFF.format(user.email))
    try:
        with transaction.atomic():
            Identity.objects.create(user=user, issuer=claims.issuer, subject=claims.subject)
    except IntegrityError as error:  # by the table's own rules, so that two at one moment cannot both be it
        if known := _linked(claims):  # the same account, in another tab
            return known
        raise NotLetIn(
            f"{user.email} signs in here with another account of {name()}. If yours was made anew, ask an admin of the portal to "
            "unlink the old one."
        ) from error
    _tell(
        trail.Action.IDENTITY_LINKED,
        user.email,
        user.email,
        address,
        {"account": claims.subject, "issuer": claims.issuer},
    )
    return user


def _linked(claims: Claims) -> User | None:
    """Return whom this account signs in, or None when nobody yet. Raises NotLetIn for who is switched off."""
    row = Identity.objects.filter(issuer=claims.issuer, subject=claims.subject).select_related("user").first()
    if row and not row.user.is_active:
        raise NotLetIn(OFF.format(row.user.email))
    return row.user if row else None


def _folded(email: str) -> str:
    """Return an address whatever the case of its ASCII letters.

    The database finds more: it holds the dotless ı and i for the same letter, and whoever owns a domain with one would be another.
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in email)


def _tell(action: trail.Action, thing: str, actor: str, address: str, detail: Mapping[str, Any]) -> None:
    trail.record(trail.Entry(actor=actor, address=address, action=action, object=thing, detail=dict(detail)))
