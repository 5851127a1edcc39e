from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from wakeline.model.credential import CredentialKind, CredentialSecret
from wakeline.model.errors import AddressRefused, TimedOut, TransportError
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.ports import HttpAnswer
from wakeline.providers.fcm_token import AccessTokens

pytestmark = pytest.mark.anyio

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
SECRET = CredentialSecret(
    kind=CredentialKind.FCM_SERVICE_ACCOUNT,
    private_key=PEM,
    key_id="k1",
    client_email="push@acme.iam.gserviceaccount.com",
    project_id="acme",
    token_uri="https://oauth2.googleapis.com/token",
)
GRANT = b'{"access_token":"ya29.abc","expires_in":3599,"token_type":"Bearer"}'


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class ScriptedHttp:
    """Implements `ports.HttpClient`: gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: bytes | int | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        assert timeout > 0
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        self.asked.append((url, parse_qs(body.decode())))
        await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        match answer:
            case Exception():
                raise answer
            case int():
                return HttpAnswer(status=answer, headers={"retry-after": "2"}, body=b"")
            case _:
                return HttpAnswer(status=200, headers={}, body=answer)


async def _ready(tokens: AccessTokens) -> Outcome | None:
    known: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
    tokens.when_ready(known.set_result)
    async with asyncio.timeout(20):
        return await known


def _tokens(http: ScriptedHttp, clock: ManualClock | None = None, *hosts: str) -> AccessTokens:
    return AccessTokens(SECRET, clock or ManualClock(), http, hosts)


async def test_the_request_is_a_signed_assertion() -> None:
    http = ScriptedHttp(GRANT)
    tokens = _tokens(http)
    assert tokens.current() == ""
    assert await _ready(tokens) is None
    assert tokens.current() == "ya29.abc"
    ((url, form),) = http.asked
    assert url == "https://oauth2.googleapis.com/token"
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(
        form["assertion"][0],
        KEY.public_key(),
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == SECRET.client_email


async def test_many_who_wait_cost_one_request() -> None:
    http = ScriptedHttp(GRANT)
    tokens = _tokens(http)
    assert await asyncio.gather(*(_ready(tokens) for _ in range(20))) == [None] * 20
    assert len(http.asked) == 1


@pytest.mark.parametrize(("life", "seconds"), [(b'"1800"', 1800), (b"1800", 1800), (b"1800.0", 1800)])
async def test_the_life_of_a_token_may_be_text(life: bytes, seconds: int) -> None:
    clock = ManualClock()
    tokens = _tokens(ScriptedHttp(b'{"access_token":"t","expires_in":%s}' % life), clock)
    await _ready(tokens)
    clock.seconds += seconds - 1
    assert tokens.current() == "t"
    clock.seconds += 1
    assert tokens.current() == ""
    await tokens.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token":""}',
        b'{"access_token":7}',
        b'{"access_token":"a\\r\\nb"}',
        b'"x"',
    ],
)
async def test_an_answer_without_a_token_is_transient(body: bytes) -> None:
    outcome = await _ready(_tokens(ScriptedHttp(body)))
    assert outcome is not None
    assert (outcome.outcome_class, outcome.action) == (OutcomeClass.TRANSIENT, Action.RETRY)


@pytest.mark.parametrize(
    ("failure", "action"),
    [
        (TimedOut("no answer"), Action.RETRY),
        (TransportError("broken"), Action.RETRY),
        (AddressRefused("private address"), Action.HOLD),
        (400, Action.HOLD),
        (403, Action.HOLD),
        (429, Action.RETRY),
        (500, Action.RETRY),
    ],
)
async def test_each_failure_is_an_outcome(failure: Exception | int, action: Action) -> None:
    outcome = await _ready(_tokens(ScriptedHttp(failure)))
    assert outcome is not None
    assert outcome.action is action


async def test_only_transient_failures_are_tried_again() -> None:
    http = ScriptedHttp(500)
    await _ready(_tokens(http))
    assert len(http.asked) == 3
    http = ScriptedHttp(403)
    await _ready(_tokens(http))
    assert len(http.asked) == 1


async def test_a_failure_is_told_to_everybody_for_a_while_and_then_forgotten() -> None:
    http, clock = ScriptedHttp(403, GRANT), ManualClock()
    tokens = _tokens(http, clock)
    first = await _ready(tokens)
    assert await _ready(tokens) == first
    assert len(http.asked) == 1
    clock.seconds += 3
    assert await _ready(tokens) is None


async def test_a_token_is_replaced_early_while_it_still_serves() -> None:
    http, clock = ScriptedHttp(GRANT, b'{"access_token":"second","expires_in":3599}'), ManualClock()
    tokens = _tokens(http, clock)
    await _ready(tokens)
    clock.seconds += 3599 - 226
    assert tokens.current() == "ya29.abc"
    assert len(http.asked) == 1
    clock.seconds += 2
    http.gate.clear()
    assert tokens.current() == "ya29.abc"
    http.gate.set()
    async with asyncio.timeout(20):
        while tokens.current() != "second":  # noqa: ASYNC110 - a token in use is replaced without a word
            await asyncio.sleep(0)
    assert len(http.asked) == 2


async def test_a_refused_token_is_forgotten_unless_it_was_replaced() -> None:
    tokens = _tokens(ScriptedHttp(GRANT))
    await _ready(tokens)
    tokens.invalidate("an older one")
    assert tokens.current() == "ya29.abc"
    tokens.invalidate("ya29.abc")
    assert tokens.current() == ""


async def test_closing_tells_those_who_wait() -> None:
    http = ScriptedHttp(GRANT)
    http.gate.clear()
    tokens = _tokens(http)
    waiting = asyncio.create_task(_ready(tokens))
    async with asyncio.timeout(20):
        while not http.asked:  # noqa: ASYNC110 - the client tells nobody that it was asked
            await asyncio.sleep(0)
    await tokens.close()
    outcome = await waiting
    assert outcome is not None
    assert outcome.action is Action.RETRY


async def test_a_listed_host_may_be_plain_http() -> None:
    http = ScriptedHttp(GRANT)
    secret = CredentialSecret(
        kind=SECRET.kind, private_key=PEM, client_email="a@b", token_uri="http://localhost:9/token"
    )
    assert await _ready(AccessTokens(secret, ManualClock(), http, ("localhost",))) is None
    refused = await _ready(AccessTokens(secret, ManualClock(), http, ()))
    assert refused is not None
    assert refused.reason == "token_uri"


async def test_a_defect_behind_one_waiter_leaves_no_other_waiting() -> None:
    tokens = _tokens(ScriptedHttp(GRANT))

    def broken(_: Outcome | None) -> None:
        raise ValueError("a defect of ours")

    tokens.when_ready(broken)
    with capture_logs() as lines:
        assert await _ready(tokens) is None

    assert [line["event"] for line in lines] == ["oauth_waiter_failed"]


@pytest.mark.parametrize("life", [b'"nan"', b'"inf"', b'"-inf"'])
async def test_a_life_that_is_no_number_grants_nothing(life: bytes) -> None:
    tokens = _tokens(ScriptedHttp(b'{"access_token":"ya29.abc","expires_in":%s}' % life))

    outcome = await _ready(tokens)

    assert outcome is not None
    assert outcome.action is Action.RETRY
