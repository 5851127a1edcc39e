"""The control API: plain HTTP on a loopback port, JSON in and out.

    POST /trust        see `trust.Trust`: {"apns_keys", "apns_certificates", "service_accounts"}
    POST /script       see `script.Script`: {"target", "answers": [...]}, or a list of such
    POST /behave       see `behaviour.BehaviourChange`: {"provider", "goaway_after", "max_streams", ...}
    POST /environment  see `state.Place`: {"target", "environment", "topic"}, or a list of such
    POST /subscriptions {"vapid_public_key"}: a browser's Web Push subscription {"target", "endpoint", "keys"}
    POST /phones       see `phones`: phones that confirm what they get, and models that swallow it; GET says what became of it
    POST /disconnect   {"provider", "reason"} GOAWAY on every connection now; {"provider", "abort": true} cuts them
    GET  /requests     ?target= &provider= &limit=   the newest requests, oldest of them first
    GET  /ids          ?since= &status=   compact rows [apns-id, collapse id, target] of the newest requests
    GET  /counts       exact numbers since the start or the last reset
    POST /reset        everything as at the start
    /portal/...        see `portal.control`

A POST that says something answers 200 with what is now so; what cannot be understood is 422 {"error"}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from wakeline.simulator.behaviour import PROVIDERS, Behaviour, BehaviourChange
from wakeline.simulator.exchange import JSON_TYPE, Answer, Exchange, Peer, Request, json_answer
from wakeline.simulator.phones import Play
from wakeline.simulator.script import Script
from wakeline.simulator.state import Place, State
from wakeline.simulator.subscriptions import Wish
from wakeline.simulator.trust import Trust

Route = Callable[[Request, dict[str, str]], Answer]


class Disconnect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /disconnect`."""

    provider: str | None = None
    reason: str = "Shutdown"
    abort: bool = False


class Connections(Protocol):
    """The ports of all services and the live connections on them."""

    @property
    def web_push_origin(self) -> str:
        """Where Web Push endpoints are."""

    def refresh(self) -> None:
        """Behaviours have changed."""

    def disconnect(self, provider: str | None, reason: str, *, abort: bool) -> int:
        """Ends connections; how many."""


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class ControlService:
    """The control port."""

    provider = "control"
    behaviour = Behaviour(max_streams=100)

    def __init__(self, state: State, connections: Connections, more: Mapping[tuple[str, str], Route]) -> None:
        self._state = state
        self._connections = connections
        self._routes: dict[tuple[str, str], Route] = {
            **more,
            ("POST", "/trust"): self._trust,
            ("POST", "/script"): self._script,
            ("POST", "/behave"): self._behave,
            ("POST", "/environment"): self._environment,
            ("POST", "/subscriptions"): self._subscriptions,
            ("POST", "/phones"): self._play,
            ("GET", "/phones"): self._played,
            ("POST", "/disconnect"): self._disconnect,
            ("GET", "/requests"): self._requests,
            ("GET", "/ids"): self._ids,
            ("GET", "/counts"): self._counts,
            ("POST", "/reset"): self._reset,
        }

    def trusts_at_first(self, peer: Peer) -> bool:  # noqa: ARG002 - whoever reaches the loopback port
        """Whoever reaches the loopback port is trusted."""
        return True

    def connect(self, peer: Peer) -> Exchange:  # noqa: ARG002 - connections of this port have no memory
        """Every connection is served alike."""
        return self._answer

    def _answer(self, request: Request) -> Answer:
        split = urlsplit(request.path)
        route = self._routes.get((request.method, split.path))
        try:
            if route is None:
                raise _no_route(request.method, split.path, self._routes)
            return route(request, dict(parse_qsl(split.query)))
        except _Refused as refusal:
            return json_answer(refusal.status, {"error": str(refusal)})
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
            return json_answer(422, {"error": str(error)})

    def _trust(self, request: Request, _query: dict[str, str]) -> Answer:
        self._state.set_trust(msgspec.json.decode(request.body, type=Trust))
        return _done()

    def _script(self, request: Request, _query: dict[str, str]) -> Answer:
        scripts = msgspec.json.decode(request.body, type=Script | list[Script])
        for script in scripts if isinstance(scripts, list) else [scripts]:
            self._state.scripts.put(script)
        return _done()

    def _behave(self, request: Request, _query: dict[str, str]) -> Answer:
        change = msgspec.json.decode(request.body, type=BehaviourChange)
        _known(change.provider)
        self._state.behave(change)
        self._connections.refresh()
        return json_answer(200, self._state.behaviours)

    def _environment(self, request: Request, _query: dict[str, str]) -> Answer:
        places = msgspec.json.decode(request.body, type=Place | list[Place])
        for place in places if isinstance(places, list) else [places]:
            self._state.set_place(place)
        return _done()

    def _subscriptions(self, request: Request, _query: dict[str, str]) -> Answer:
        wish = msgspec.json.decode(request.body or b"{}", type=Wish)
        return json_answer(200, self._state.subscribe(wish).public(self._connections.web_push_origin))

    def _play(self, request: Request, query: dict[str, str]) -> Answer:
        self._state.phones.play(msgspec.json.decode(request.body, type=Play))
        return self._played(request, query)

    def _played(self, _request: Request, _query: dict[str, str]) -> Answer:
        return json_answer(200, self._state.phones.played)

    def _disconnect(self, request: Request, _query: dict[str, str]) -> Answer:
        wish = msgspec.json.decode(request.body or b"{}", type=Disconnect)
        _known(wish.provider)
        ended = self._connections.disconnect(wish.provider, wish.reason, abort=wish.abort)
        return json_answer(200, {"connections": ended})

    def _requests(self, _request: Request, query: dict[str, str]) -> Answer:
        text = self._state.journal.requests(
            target=query.get("target", ""), provider=query.get("provider", ""), limit=_number(query, "limit")
        )
        return Answer(200, text, headers=(JSON_TYPE,))

    def _ids(self, _request: Request, query: dict[str, str]) -> Answer:
        newest, rows = self._state.journal.rows(since=_number(query, "since") or 0, status=_number(query, "status"))
        return json_answer(200, {"next": newest, "rows": rows})

    def _counts(self, _request: Request, _query: dict[str, str]) -> Answer:
        return json_answer(200, self._state.journal.counts(PROVIDERS))

    def _reset(self, _request: Request, _query: dict[str, str]) -> Answer:
        self._state.reset()
        self._connections.refresh()
        return _done()


def _done() -> Answer:
    return json_answer(200, {"ok": True})


def _known(provider: str | None) -> None:
    if provider is not None and provider not in PROVIDERS:
        raise ValueError(f"provider is one of {', '.join(PROVIDERS)}")


def _number(query: dict[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    number = int(query[name])
    if number < 0:
        raise ValueError(f"{name} is not negative")
    return number


def _no_route(method: str, path: str, routes: Iterable[tuple[str, str]]) -> _Refused:
    if any(known == path for _, known in routes):
        return _Refused(405, f"{path} does not take {method}")
    return _Refused(404, f"there is no {path}")
