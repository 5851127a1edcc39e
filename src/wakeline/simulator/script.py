"""Scripted answers: what a target says next (`POST /script`).

A script is used up answer by answer and then answers 200. It stands for the state of the target, so it is asked
last: a request that would be refused for its credential, headers or payload does not consume an answer.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

import msgspec

from wakeline.simulator.exchange import Answer, Effect

EVERY_TARGET = "*"

# RFC 9113 section 7, as far as a server says them of a stream.
RESET_CODES = {
    "NO_ERROR": 0x0,
    "PROTOCOL_ERROR": 0x1,
    "INTERNAL_ERROR": 0x2,
    "REFUSED_STREAM": 0x7,
    "CANCEL": 0x8,
    "ENHANCE_YOUR_CALM": 0xB,
}


class ScriptedAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a script."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    reason: str = ""
    """APNs reason; for FCM the same as `error`."""
    error: str = ""
    """FCM errorCode such as UNREGISTERED; for APNs the same as `reason`."""
    timestamp: int | None = None
    """Milliseconds since 1970, in a 410's body; its default is now."""
    headers: dict[str, str] = {}
    delay_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    times: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    """How often it is given; null is for ever."""
    field: str | None = None
    """The field that an INVALID_ARGUMENT of FCM names; `message.token` unless given."""
    body: str | None = None
    """The body itself, in place of the one that status and reason make."""
    content_type: str = ""
    html: bool = False
    """An HTML page as the body, as Google's front end answers when what is behind it does not."""
    silent: bool = False
    reset: str = ""
    """RST_STREAM with this error code, by name."""
    close: bool = False

    def __post_init__(self) -> None:
        """Refuses what could not be played."""
        if self.reset and self.reset not in RESET_CODES:
            raise ValueError(f"reset is one of {', '.join(RESET_CODES)}")

    @property
    def cause(self) -> str:
        """The reason or error code given, whichever word was used."""
        return self.reason or self.error


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /script`; it replaces what is left of the target's former script."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    answers: list[ScriptedAnswer]
    provider: str = ""
    """Only requests to this provider; empty is any."""

    def __post_init__(self) -> None:
        """Refuses a script for every target of every provider: the token endpoint would use it up."""
        if self.target == EVERY_TARGET and not self.provider:
            raise ValueError(f"a script for {EVERY_TARGET} names its provider")


class Scripts:
    """All scripts, by provider and target; those for `*` hold for targets without one of their own."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], deque[ScriptedAnswer]] = {}

    def put(self, script: Script) -> None:
        """Takes the place of the target's former script."""
        self._left[script.provider, canonical(script.target)] = deque(script.answers)

    def clear(self) -> None:
        """Forgets every script."""
        self._left.clear()

    def next(self, provider: str, target: str) -> ScriptedAnswer | None:
        """The answer to give to a request for `target` now; None if nothing is scripted."""
        if not self._left:
            return None
        name = canonical(target)
        for key in ((provider, name), ("", name), (provider, EVERY_TARGET)):
            if key in self._left:
                return self._take(key)
        return None

    def _take(self, key: tuple[str, str]) -> ScriptedAnswer:
        left = self._left[key]
        scripted = left[0] if left else ScriptedAnswer()
        if scripted.times is not None and left:
            left.popleft()
            if scripted.times > 1:
                left.appendleft(msgspec.structs.replace(scripted, times=scripted.times - 1))
        if not left:
            del self._left[key]
        return scripted


def canonical(target: str) -> str:
    """Device tokens are hex, whose case means nothing; a Web Push endpoint is its last part; others are themselves."""
    if target.startswith("https://"):
        return target.rpartition("/")[2]
    return target.lower() if _is_hex(target) else target


def performed(answer: Answer, scripted: ScriptedAnswer) -> Answer:
    """`answer`, the provider's form of `scripted`, with the extras that are the same for every provider."""
    given = {name.lower(): value for name, value in scripted.headers.items()}
    if scripted.content_type:
        given["content-type"] = scripted.content_type
    kept = tuple(pair for pair in answer.headers if pair[0] not in given)
    return msgspec.structs.replace(
        answer,
        headers=(*kept, *given.items()),
        body=answer.body if scripted.body is None else scripted.body.encode(),
        delay_s=scripted.delay_ms / 1000,
        effect=_effect(scripted),
        error_code=RESET_CODES.get(scripted.reset, 0),
    )


def _effect(scripted: ScriptedAnswer) -> Effect:
    if scripted.silent:
        return Effect.SILENT
    if scripted.close:
        return Effect.CLOSE
    return Effect.RESET if scripted.reset else Effect.ANSWER


def _is_hex(text: str) -> bool:
    return bool(text) and not text.strip("0123456789abcdefABCDEF")
