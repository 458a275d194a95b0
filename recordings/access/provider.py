"""The identity provider of the company, asked as OpenID Connect says: authorization code flow with PKCE, state and nonce.

What it says of itself (OpenID Connect Discovery 1.0) is kept for some minutes; which keys it signs with is asked each time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import MismatchingStateError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from joserfc.errors import JoseError

from recordings.access.single_sign_on import Away, Claims, OutOfTime, Refused, Unproven

MOST_SUBJECT = 255  # characters (OpenID Connect Core 1.0, section 2)
MOST_EMAIL = 254  # characters (RFC 5321, section 4.5.3.1.3)
AT_ONCE = 8  # who waits for the provider in this process at one moment: the other threads have pages to show
TURN = 1  # seconds that one more waits to be among them
MOST_BEGUN = 10  # sign-ins that one browser has begun and not ended; the oldest go
WAITS = 10  # seconds for each answer of the provider: a person is waiting
KEPT = 300  # seconds: who asks for the way there again and again does not make the portal ask the provider each time
# With a key that only the provider has. A shared secret signs nothing here, and "none" is no signature.
SIGNED_WITH = {
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}  # fmt: skip
_TURNS = BoundedSemaphore(AT_ONCE)


def ask(request: HttpRequest, back: str) -> HttpResponse:
    """Send the browser to the provider, from where it comes `back`. Raises Away."""
    begun = [key for key in request.session.keys() if key.startswith("_state_provider_")]  # noqa: SIM118 - a session is no dict
    for key in sorted(begun, key=lambda key: request.session[key]["exp"])[: 1 - MOST_BEGUN]:
        del request.session[key]
    with _in_turn(), _understood():
        return _client().authorize_redirect(request, back)


def answer(request: HttpRequest) -> Claims:
    """Return what the provider says of who came back. Raises Unproven or Away."""
    with _in_turn(), _understood():
        client = _client()
        expected = {
            "iss": {"essential": True, "value": client.server_metadata["issuer"]},
            "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
        }
        told = client.authorize_access_token(request, claims_options=expected).get("userinfo")
    if not told:
        raise Unproven("the provider sent no ID token")
    claims = Claims(
        issuer=str(told["iss"]).rstrip("/"), subject=str(told["sub"]), email=str(told.get("email") or ""),
        verified=told.get("email_verified") in (True, "true"),
    )  # fmt: skip
    fits = 0 < len(claims.subject) <= MOST_SUBJECT and len(claims.email) <= MOST_EMAIL
    if not fits or not (claims.subject + claims.email).isprintable():
        raise Unproven("subject or e-mail address is empty, too long or holds what cannot be printed")
    return claims


def _client() -> Any:
    """Return a client that has read what the provider says of itself. Raises Away."""
    issuer = settings.OIDC_ISSUER.rstrip("/")
    client = OAuth().register(
        "provider", client_id=settings.OIDC_CLIENT_ID, client_secret=settings.OIDC_CLIENT_SECRET or None,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email",
            "code_challenge_method": "S256",
            "default_timeout": WAITS,
            "verify": os.environ.get("AWS_CA_BUNDLE") or True,  # the same authorities as for stores
        },
    )  # fmt: skip
    key = f"provider:{issuer}"
    known = cache.get(key)
    if known is None:
        with _understood():
            known = _believed(client.load_server_metadata(), issuer)
        cache.set(key, known, KEPT)
    client.server_metadata.update(known)
    return client


def _believed(told: dict[str, Any], issuer: str) -> dict[str, Any]:
    """Return what the provider says of itself, with those of its signatures that prove something. Raises Away."""
    if str(told.get("issuer", "")).rstrip("/") != issuer:
        raise Away(f"it calls itself {told.get('issuer')!r}")
    signed = set(told.get("id_token_signing_alg_values_supported") or ["RS256"]) & SIGNED_WITH
    if not signed:
        raise Away("it signs with no key that only it has")
    return told | {"id_token_signing_alg_values_supported": sorted(signed)}


@contextmanager
def _in_turn() -> Iterator[None]:
    """Let few wait for the provider at one moment. Raises Away for one too many."""
    if not _TURNS.acquire(timeout=TURN):
        raise Away("it keeps everybody waiting")
    try:
        yield
    finally:
        _TURNS.release()


@contextmanager
def _understood() -> Iterator[None]:
    """Tell by an exception of `single_sign_on` what went wrong with the provider."""
    try:
        yield
    except MismatchingStateError as error:
        raise OutOfTime(str(error)) from error
    except JoseError as error:
        raise Unproven(str(error)) from error
    except AuthlibBaseError as error:
        raise Refused(str(error)) from error
    except (
        requests.RequestException,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RuntimeError,
    ) as error:
        # Beside the connection: its documents may be anything, and lack what every provider has.
        raise Away(f"{type(error).__name__}: {error}") from error
