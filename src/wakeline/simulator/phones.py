"""Phones that confirm what they get: the other half of a push service, for gateways that listen to it.

    POST /phones  {"receipts": "http://127.0.0.1:8750/v1/receipts", "confirm": 0.9, "swallow": {"Redmi 9": 0.4},
                   "phones": [{"target": "...", "device": "phone-1", "model": "Redmi 9"}]}
    GET  /phones  what became of the pushes to these phones

A push that was answered with 200 reaches its phone, unless its model swallows it; the phone confirms what bears a token for
receipts under `wakeline`, a share `confirm` of it. Phones are added to those that there are; what else is said replaces what was
said before, and an empty `receipts` makes all of them silent. `swallow` is the share that is lost, by model.
"""

from __future__ import annotations

import asyncio
import random
from typing import Annotated

import httpx2
import msgspec

from wakeline.simulator.exchange import Answer, Effect, Request
from wakeline.simulator.script import canonical

_AT_ONCE = 200
"""Receipts in a request."""
_PATIENCE_S = 10.0
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Phone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One phone: where it gets pushes, and how it calls itself."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    device: str
    model: str = ""


class Play(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /phones`."""

    receipts: str = ""
    confirm: _Share = 1.0
    swallow: dict[str, _Share] = {}
    phones: tuple[Phone, ...] = ()


class Played(msgspec.Struct):
    """What became of pushes to phones: `unsaid` were not confirmed as usual, `refused` receipts were not taken."""

    phones: int = 0
    confirmed: int = 0
    swallowed: int = 0
    unsaid: int = 0
    refused: int = 0


class _Token(msgspec.Struct, frozen=True):
    """What a push bears for its receipt."""

    id: str
    receipt: str


class _Receipt(msgspec.Struct, frozen=True):
    """What is sent back, as the gateway's guide says."""

    notification: str
    receipt: str
    device: str
    status: str = "acknowledged"


class _Message(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


class _Body(msgspec.Struct, frozen=True):
    """A push of APNs, or one of FCM."""

    wakeline: _Token | None = None
    message: _Message = _Message()


_body = msgspec.json.Decoder(_Body)
_token = msgspec.json.Decoder(_Token)


class Phones:
    """All phones of one simulator; what they say is posted in the background of the running event loop."""

    def __init__(self) -> None:
        self._chance = random.Random()  # noqa: S311 - which pushes are lost is no secret
        self._client: httpx2.AsyncClient | None = None
        self._posting: asyncio.Task[None] | None = None
        self.reset()

    def reset(self) -> None:
        """No phones, and nothing to say."""
        self._play = Play()
        self._phones: dict[str, Phone] = {}
        self._due: list[_Receipt] = []
        self.played = Played()

    def play(self, play: Play) -> None:
        """From now on phones do as this says."""
        self._play = play
        self._phones.update((canonical(phone.target), phone) for phone in play.phones)
        self.played.phones = len(self._phones)

    def got(self, request: Request, answer: Answer) -> None:
        """A push was answered."""
        phone = self._phones.get(canonical(answer.target)) if self._phones and self._play.receipts else None
        if phone is None or answer.status != 200 or answer.effect is not Effect.ANSWER:
            return
        token = _borne(request.body)
        if self._chance.random() < self._play.swallow.get(phone.model, 0.0):
            self.played.swallowed += 1
        elif token is None or self._chance.random() >= self._play.confirm:
            self.played.unsaid += 1
        else:
            self._say(_Receipt(token.id, token.receipt, phone.device))

    def _say(self, receipt: _Receipt) -> None:
        self._due.append(receipt)
        if self._posting is None or self._posting.done():
            self._posting = asyncio.get_running_loop().create_task(self._post(self._play.receipts))

    async def _post(self, url: str) -> None:
        """Post what is due, and what becomes due meanwhile."""
        if self._client is None:
            # A gateway under test has a certificate that nobody has heard of.
            self._client = httpx2.AsyncClient(verify=False, trust_env=False, timeout=_PATIENCE_S)
        while self._due:
            some, self._due = self._due[:_AT_ONCE], self._due[_AT_ONCE:]
            taken = await self._taken(self._client, url, some)
            self.played.confirmed += taken
            self.played.refused += len(some) - taken

    async def _taken(self, client: httpx2.AsyncClient, url: str, receipts: list[_Receipt]) -> int:
        content = msgspec.json.encode({"receipts": receipts})
        try:
            answer = await client.post(url, content=content, headers={"content-type": "application/json"})
            return len(answer.json()["accepted"]) if answer.status_code == 200 else 0
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError):
            return 0

    async def close(self) -> None:
        """Give up what is not said."""
        if self._posting is not None:
            self._posting.cancel()
            await asyncio.gather(self._posting, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _borne(body: bytes) -> _Token | None:
    """Return what a push bears for its receipt; None: nothing, or it is no push of APNs or FCM."""
    try:
        push = _body.decode(body)
        text = push.message.data.get("wakeline")
        return push.wakeline if text is None else _token.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
