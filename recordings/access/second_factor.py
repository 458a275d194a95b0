"""Second factors: a code from an authenticator app (TOTP, RFC 6238), or one of ten recovery codes, after the right password.

from recordings.access import second_factor
if second_factor.has(user): … second_factor.spend(user, code="123456")
"""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime

import pyotp
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from recordings import trail
from recordings.models import RecoveryCode, Role, SecondFactor, User

ISSUER = "SEA Portal"
STEP = 30  # seconds that one code lasts
AROUND = 1  # steps before and after the present one whose codes are taken: clocks differ
RECOVERY_CODES = 10


@dataclass(frozen=True)
class Spent:
    """A code that was right, and can never be used again."""

    recovery: bool
    left: int = 0  # recovery codes, when it was one


def has(user: User) -> bool:
    """Tell whether a code is asked for when this person signs in."""
    return SecondFactor.objects.on().filter(user=user).exists()


def confirmed_at(user: User) -> datetime | None:
    """Return when this person set up the one that is asked for; None when there is none."""
    return SecondFactor.objects.on().filter(user=user).values_list("confirmed_at", flat=True).first()


def must_have(user: User) -> bool:
    """Tell whether the portal demands one of this person."""
    who = settings.SECOND_FACTOR
    return bool(who == "everybody" or (who == "admins" and user.role == Role.ADMIN))


def owes(user: User) -> bool:
    """Tell whether this person has to set one up before anything else."""
    return must_have(user) and not has(user)


def begin(user: User) -> str:
    """Make a new secret that waits for its first code, and return the mark that the session which asked for it knows it by.

    What the person has already goes on being asked for until a code confirms this one.
    """
    secret = pyotp.random_base32()
    SecondFactor.objects.update_or_create(user=user, defaults={"pending": secret})
    return _digest(secret)


def pending(user: User, mark: str) -> str:
    """Return the secret with this mark while it waits for its first code, or nothing: another session is not shown it."""
    row = SecondFactor.objects.filter(user=user).first()
    return row.pending if row and _is_marked(row.pending, mark) else ""


def address_for_app(user: User, secret: str) -> str:
    """Return the otpauth:// address that the QR code holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)


@transaction.atomic
def confirm(user: User, code: str, *, mark: str, address: str = "") -> list[str]:
    """Take the pending secret when the code is its, and return the recovery codes, which nobody can be shown again.

    Returns none when the code is wrong or another secret is pending by now. The person's other sessions end.
    """
    row = SecondFactor.objects.select_for_update().filter(user=user).first()
    step = _step_of(row.pending, code) if row and _is_marked(row.pending, mark) else None
    if row is None or step is None:
        return []
    SecondFactor.objects.filter(pk=row.pk).update(
        secret=row.pending, pending="", confirmed_at=timezone.now(), last_step=step
    )
    row.codes.all().delete()
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=row, hash=_digest(code)) for code in codes)
    end_sessions(user)
    _tell(trail.Action.SECOND_FACTOR_SET, user, actor=user.email, address=address)
    return codes


def spend(user: User, *, code: str = "", recovery: str = "") -> Spent | None:
    """Use up a code of the app or a recovery code. Returns None when it is wrong or was used before, by whoever."""
    row = SecondFactor.objects.on().filter(user=user).first()
    if row is None:
        return None
    if recovery:
        right = row.codes.filter(hash=_digest(recovery), used_at=None)
        if not right.update(used_at=timezone.now()):
            return None
        return Spent(recovery=True, left=row.codes.filter(used_at=None).count())
    step = _step_of(row.secret, code)
    # One statement: of two who send the same code at the same moment, one finds the step used.
    same = SecondFactor.objects.filter(pk=row.pk, confirmed_at=row.confirmed_at)
    if step is None or not same.filter(last_step__lt=step).update(last_step=step):
        return None
    return Spent(recovery=False)


@transaction.atomic
def switch_off(user: User, *, address: str = "") -> None:
    """Ask this person for the password alone from now on. Their other sessions end."""
    SecondFactor.objects.filter(user=user).delete()
    end_sessions(user)
    _tell(trail.Action.SECOND_FACTOR_OFF, user, actor=user.email, address=address)


@transaction.atomic
def reset(user: User, *, by: str, reason: str, address: str = "") -> None:
    """Take the second factor of somebody who lost it, and end all of their sessions."""
    SecondFactor.objects.filter(user=user).delete()
    end_sessions(user)
    _tell(trail.Action.SECOND_FACTOR_RESET, user, actor=by, address=address, reason=reason)


def end_sessions(user: User) -> None:
    """End every session of a person, also sign-ins that wait for their code."""
    User.objects.filter(pk=user.pk).update(sessions_ended=F("sessions_ended") + 1)
    user.refresh_from_db(fields=["sessions_ended"])


def _step_of(secret: str, code: str) -> int | None:
    """Return the step whose code this is, the present one or a neighbour.

    A secret that no key opens reads as empty, and none is right.
    """
    if not secret:
        return None
    totp, now = pyotp.TOTP(secret, interval=STEP), int(time.time()) // STEP
    steps = range(now - AROUND, now + AROUND + 1)
    return next((step for step in steps if constant_time_compare(totp.at(step * STEP), code)), None)


def _is_marked(secret: str, mark: str) -> bool:
    return bool(secret) and constant_time_compare(_digest(secret), mark)


def _new_code() -> str:
    """Return a recovery code: sixteen letters and digits in fours, without those that look alike."""
    text = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(16))
    return "-".join(re.findall("....", text))


def _digest(code: str) -> str:
    """Return what is kept of a code, however its groups were typed."""
    return hashlib.sha256(re.sub(r"[\s-]", "", code).upper().encode()).hexdigest()


def _tell(action: trail.Action, user: User, *, actor: str, address: str, **detail: str) -> None:
    trail.record(
        trail.Entry(actor=actor, address=address, action=action, object=user.email, detail=dict(detail))
    )
