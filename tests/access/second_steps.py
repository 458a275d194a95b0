"""How tests sign in with a second factor, and give somebody one."""

import time

import pyotp
from django.urls import reverse

from recordings.access import second_factor
from recordings.models import AuditEntry, SecondFactor
from tests.factories import PASSWORD

WEAK = {"password": "nine blue herons here"}


def equip(user):
    """Give somebody a second factor whose present code was not used yet; return the app and the recovery codes."""
    mark = second_factor.begin(user)
    app = pyotp.TOTP(second_factor.pending(user, mark))
    codes = second_factor.confirm(user, app.now(), mark=mark)
    SecondFactor.objects.update(last_step=0)
    return app, codes


def first_step(client, user, **more):
    return client.post(reverse("sign_in"), {"email": user.email, "password": PASSWORD, **more})


def second_step(client, code="", recovery="", **more):
    return client.post(reverse("second_step"), {"code": code, "recovery": recovery}, **more)


def to_the_start(response):
    return response["Location"] == reverse("sign_in") + "?late=yes"


def is_in(client):
    return client.get(reverse("password")).status_code == 200


def wrong(app):
    """Return six digits that are no code of these minutes."""
    near = {app.at(time.time(), counter_offset=step) for step in range(-3, 4)}
    return next(f"{number:06}" for number in range(10) if f"{number:06}" not in near)


def told(action):
    return list(AuditEntry.objects.filter(action=action).order_by("id"))


def text(response):
    return response.content.decode()
