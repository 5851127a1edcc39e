"""The portal's port: its REST, and the OAuth host, whatever name they are asked by."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import msgspec

from wakeline.simulator.behaviour import Behaviour
from wakeline.simulator.exchange import Answer, Exchange, Peer, Request
from wakeline.simulator.portal import oauth
from wakeline.simulator.portal.call import Found
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import OAUTH_HOSTS
from wakeline.simulator.portal.php import Tree, text
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.rest import HEADERS, Place, Rest, authority, parameters, place
from wakeline.simulator.script import ScriptedAnswer, performed
from wakeline.simulator.state import State

PROVIDER = "portal"
TOKEN, AUTHORIZE = "oauth/token", "oauth/authorize"  # targets of scripts, beside the methods' names


class PortalService:
    """Everything on the portal's port."""

    provider = PROVIDER

    def __init__(self, state: State, courier: Courier) -> None:
        self._state = state
        self._courier = courier

    @property
    def behaviour(self) -> Behaviour:
        """As set by `POST /behave`."""
        return self._state.behaviours[PROVIDER]

    def trusts_at_first(self, peer: Peer) -> bool:  # noqa: ARG002 - the portal knows callers by their requests
        """Every connection is served alike."""
        return True

    def connect(self, peer: Peer) -> Exchange:
        """The judge of one connection."""

        def exchange(request: Request) -> Answer:
            return self._state.conclude(request, self._answer(request), peer)

        return exchange

    def _answer(self, request: Request) -> Answer:
        split = urlsplit(re.sub(r"^/+", "/", request.path))
        path = re.sub(r"/+", "/", split.path).strip("/")
        if request.method == "OPTIONS":
            return Answer(200, headers=HEADERS, provider=PROVIDER, target=path)
        where = place(path) if path.startswith("rest/") else None
        rest = Rest(self._state.portal, self._courier, self._state.clock(), self.behaviour.expires_in_s)
        try:
            answer = self._called(request, where, rest) if where is not None else self._other(request, path, rest)
        except Refusal as refusal:
            answer = rest.refused(refusal)
        target = path if where is None else where.method
        return msgspec.structs.replace(answer, provider=PROVIDER, target=target)

    def _other(self, request: Request, path: str, rest: Rest) -> Answer:
        if path == TOKEN:
            return self._token(request, rest)
        if path == AUTHORIZE:
            return self._authorize(dict(parse_qsl(urlsplit(request.path).query)))
        raise Refusal(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")

    def _called(self, request: Request, where: Place, rest: Rest) -> Answer:
        params = parameters(request)
        if where.method == "app.info" and not where.code and _host(request) in OAUTH_HOSTS:
            return rest.enveloped(Found(oauth.described(self._state.portal, _token(params), self._state.clock())))
        rest.admit(request)
        caller = rest.caller(request, where, params)
        scripted = self._state.scripts.next(PROVIDER, where.method)
        if scripted is not None and scripted.status != 200:
            return self._played(rest, scripted)
        try:
            answer = rest.enveloped(rest.called(caller, where.method, params))
        except Refusal as refusal:
            answer = rest.refused(refusal)
        return answer if scripted is None else performed(answer, scripted)

    def _token(self, request: Request, rest: Rest) -> Answer:
        said = {name: text(value) for name, value in parameters(request).items()}
        scripted = self._state.scripts.next(PROVIDER, TOKEN)
        if scripted is not None and scripted.status != 200:
            return self._played(rest, scripted)
        granted = oauth.exchanged(self._state.portal, said, self._state.clock(), self.behaviour.expires_in_s)
        answer = Answer(200, msgspec.json.encode(granted), headers=HEADERS)
        return answer if scripted is None else performed(answer, scripted)

    def _authorize(self, said: dict[str, str]) -> Answer:
        location = oauth.authorized(self._state.portal, said, self._state.clock())
        return Answer(302, headers=(("location", location), ("cache-control", "no-store")))

    def _played(self, rest: Rest, scripted: ScriptedAnswer) -> Answer:
        headers = {name.lower(): value for name, value in scripted.headers.items()}
        more: Tree = {"Location": headers["location"]} if "location" in headers else {}
        if scripted.timestamp is not None:
            more["operating_reset_at"] = scripted.timestamp // 1000
        code = scripted.cause or "INTERNAL_SERVER_ERROR"
        return performed(rest.refused(Refusal(scripted.status, code, "", **more)), scripted)


def _host(request: Request) -> str:
    return urlsplit(f"//{authority(request)}").hostname or ""


def _token(params: Tree) -> str:
    return text(params.get("auth")) or text(params.get("access_token"))
