"""The fake token endpoint of Google: a signed assertion in, an access token out (RFC 7523).

Google's service-account flow: RS256, `iss` the account, `aud` Google's own token address whatever the address that was
asked (clients have it built in), at most an hour between `iat` and `exp`, and a scope.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

import msgspec

from wakeline.simulator.exchange import Answer, Request, json_answer
from wakeline.simulator.jws import Jws, read_jws
from wakeline.simulator.state import Grant, State

TOKEN_PATH = "/token"  # noqa: S105 - an address
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCES = (
    "https://oauth2.googleapis.com/token",
    # Two former addresses of the same endpoint, which client libraries still write.
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
)
_LIFETIME_S = 3600
_CLOCK_SKEW_S = 300
_GRANTS_KEPT = 10_000


def token_answer(request: Request, state: State) -> Answer:
    """The answer to `POST /token`."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
    account, fault = "", ""
    if request.method != "POST":
        answer = _refused("invalid_request", "Only POST is taken.", status=405)
    elif form.get("grant_type") != _GRANT_TYPE:
        answer = _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
    else:
        jws = read_jws(form.get("assertion", ""))
        account, fault = ("", "Assertion is not a JWT.") if jws is None else _checked(jws, state)
        answer = _refused("invalid_grant", fault) if fault else _granted(account, state)
    scripted = state.scripts.next("oauth", account) if account and not fault else None
    if scripted is not None and scripted.status != 200:
        answer = _refused(scripted.cause or "server_error", "Scripted.", status=scripted.status)
    return msgspec.structs.replace(answer, provider="oauth", target=account)


def _checked(jws: Jws, state: State) -> tuple[str, str]:
    """The account of a good assertion, or why it is bad."""
    email = str(jws.claims.get("iss", ""))
    account = state.trust.account(email)
    key = None if account is None else account.public_key()
    now = state.clock()
    issued_at, expires_at = (_seconds(jws.claims.get(name)) for name in ("iat", "exp"))
    if jws.header.get("alg") != "RS256" or not jws.signature:
        return email, "Invalid JWT: only RS256 is taken."
    if not email or account is None:
        return email, "Invalid grant: account not found"
    if key is not None and not jws.verified_by(key):
        return email, "Invalid JWT Signature."
    if jws.claims.get("aud") not in _AUDIENCES:
        return email, "Invalid JWT: audience is not Google's token endpoint."
    if issued_at is None or expires_at is None or not 0 < expires_at - issued_at <= _LIFETIME_S:
        return email, "Invalid JWT: iat and exp must be at most an hour apart."
    if expires_at < now or issued_at > now + _CLOCK_SKEW_S:
        return email, "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe."
    if not jws.claims.get("scope"):
        return email, "Invalid OAuth scope or ID token audience provided."
    return email, ""


def _granted(account: str, state: State) -> Answer:
    if len(state.grants) >= _GRANTS_KEPT:
        state.grants.pop(next(iter(state.grants)))
    lifetime = state.behaviours["oauth"].expires_in_s
    token = f"ya29.{secrets.token_urlsafe(48)}"
    state.grants[token] = Grant(account, state.clock() + lifetime)
    return json_answer(200, {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"})


def _refused(error: str, description: str, *, status: int = 400) -> Answer:
    return json_answer(status, {"error": error, "error_description": description}, reason=error)


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
