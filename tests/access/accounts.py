"""How tests sign in with an identity provider: a server that nobody here wrote, behind a proxy that lies in its place where it must."""

import json
from urllib.parse import urlsplit

import requests
from django.db import connections
from django.urls import reverse
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey

from tests.access.second_steps import text
from tests.faults.proxy import edit

CLIENT, NAME = "the-portal", "Contoso"
KEY, HEADER = RSAKey.generate_key(2048, {"kid": "ours"}), {"alg": "RS256", "kid": "ours"}


def signed(claims):
    """Sign claims as a provider that lists `KEY` would."""
    return jws.serialize_compact(HEADER, json.dumps(claims), KEY)


def swap(provider, *, sign=signed, known=True, **changes):
    """Let the provider's token be signed anew with other claims; `known`: its list of keys names the key."""
    keys = KeySet.import_key_set(requests.get(f"{provider.endpoint}/jwks", timeout=10).json())

    def signed_anew(body):
        answered = json.loads(body)
        claims = jwt.decode(answered["id_token"], keys, algorithms=["RS256"]).claims | changes
        answered["id_token"] = sign({name: value for name, value in claims.items() if value is not None})
        return json.dumps(answered).encode()

    provider.on(edit(signed_anew), path="/oauth2/token")
    if known:
        say(provider, "/jwks", {"keys": [KEY.as_dict(private=False)]})


def say(provider, path, told):
    """Let the provider answer something else at a path."""
    provider.on(edit(lambda _: json.dumps(told).encode()), path=path)


def closing(work):
    """Let a thread leave no connection to the database behind."""

    def worked(*told):
        try:
            return work(*told)
        finally:
            connections.close_all()

    return worked


def begin(client, **query):
    """Press *Sign in with*."""
    return client.get(reverse("single_sign_on"), query)


def described(provider):
    """Return what the provider says of itself."""
    return requests.get(f"{provider.endpoint}/.well-known/openid-configuration", timeout=10).json()


def agree(onward, account, **claims):
    """Sign in at the provider with an account of these claims; return the path by which the browser comes back."""
    place = urlsplit(onward["Location"])
    requests.put(
        f"{place.scheme}://{place.netloc}/users/{account}", json=claims, timeout=10
    ).raise_for_status()
    back = requests.post(onward["Location"], data={"sub": account}, allow_redirects=False, timeout=10)
    return back.headers["Location"].removeprefix("http://testserver")


def come(client, account="a-1", **claims):
    """Go to the provider, sign in there, and come back."""
    claims = {"email": "ann@example.com", "email_verified": True} | claims
    return client.get(agree(begin(client), account, **claims))


def refused(response, sentence, status=403):
    """Check that the sign-in page came back with a sentence, and that nobody is in."""
    assert (response.status_code, sentence in text(response)) == (status, True), text(response)
    assert "_auth_user_id" not in response.wsgi_request.session
    return True
