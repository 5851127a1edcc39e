"""The portal's REST: from a request to a method and back to an envelope.

Order: the portal's own state (moved, closed, unpaid), the bucket, who calls, the script of the method, then the method itself.
Bitrix24: "Calling REST methods"; an answer is `{"result", "next"?, "total"?, "time"}` with JSON as PHP writes it.
"""

from __future__ import annotations

import math
from urllib.parse import urlsplit

import msgspec

from wakeline.simulator.exchange import Answer, Request
from wakeline.simulator.portal.batch import batched
from wakeline.simulator.portal.call import Call, Caller, Found, Method
from wakeline.simulator.portal.courier import Courier
from wakeline.simulator.portal.memory import ADMIN, SCOPES, WEBHOOK_CODE, Memory
from wakeline.simulator.portal.methods import basic, crm, events, items, offline, tasks, telephony
from wakeline.simulator.portal.oauth import live_session
from wakeline.simulator.portal.php import Tree, number, parse_form, shaped, text, tree
from wakeline.simulator.portal.records import moment
from wakeline.simulator.portal.refusal import Refusal

HEADERS = (
    ("content-type", "application/json; charset=utf-8"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-headers", "origin, content-type, accept"),
    ("x-content-type-options", "nosniff"),
)
_FAMILIES = (basic, crm, items, tasks, events, offline, telephony)
_METHODS: dict[str, Method] = {method.name: method for family in _FAMILIES for method in family.METHODS}
_CREDENTIALS = ("auth", "access_token")
_OPERATING_WINDOW_S = 600


def parameters(request: Request) -> Tree:
    """What a request says: its query, overlaid by its body. A body that cannot be read says nothing, as in PHP."""
    said = parse_form(urlsplit(request.path).query)
    if request.method != "POST":
        return said
    if "json" in request.headers.get("content-type", ""):
        try:
            return said | tree(msgspec.json.decode(request.body or b"{}"))
        except msgspec.DecodeError:
            return said
    return said | parse_form(request.body.decode("utf-8", "replace"))


def authority(request: Request) -> str:
    """The host and port that the client believes to speak to."""
    return request.headers.get(":authority") or request.headers.get("host", "")


class Place(msgspec.Struct, frozen=True):
    """What a REST address says: a method, and of a webhook its user and code."""

    method: str
    user: str = ""
    code: str = ""


def place(path: str) -> Place | None:
    """`/rest/{method}` or `/rest/{user}/{code}/{method}`, with or without `.json` and a slash at the end."""
    parts = [part for part in path.split("/") if part][1:]
    if len(parts) not in (1, 3):
        return None
    return Place(parts[-1].lower().removesuffix(".json"), *parts[:-1])


class Rest:
    """Calls at one moment."""

    def __init__(self, memory: Memory, courier: Courier, now: float, lifetime_s: int) -> None:
        self._memory = memory
        self._courier = courier
        self._now = now
        self._lifetime_s = lifetime_s

    def admit(self, request: Request) -> None:
        """Whether the portal takes calls at all now. Raises Refusal; a 302 has `Location` in what stands beside it."""
        switches = self._memory.switches
        if switches.moved_to and authority(request) != urlsplit(switches.moved_to).netloc:
            raise Refusal(302, "moved", Location=switches.moved_to + request.path)
        if switches.closed:
            raise Refusal(403, "PORTAL_DELETED")
        if not switches.paid:
            raise Refusal(403, "ACCESS_DENIED")
        self._pour()

    def _pour(self) -> None:
        """A leaky bucket: a call fills it by one, and it empties steadily."""
        memory, switches = self._memory, self._memory.switches
        if not switches.bucket_size:
            return
        level = max(0.0, memory.level - switches.bucket_per_s * (self._now - memory.level_at))
        if level + 1 > switches.bucket_size:
            raise Refusal(503, "QUERY_LIMIT_EXCEEDED")
        memory.level, memory.level_at = level + 1, self._now

    def caller(self, request: Request, where: Place, params: Tree) -> Caller:
        """Who calls: by a bearer token, a token among the parameters, or the webhook's address. Raises Refusal."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        tokens = [bearer if scheme.lower() == "bearer" else "", *(text(params.get(name)) for name in _CREDENTIALS)]
        token = next((one for one in tokens if one), "")
        if token:
            session = live_session(self._memory, token, self._now)
            application = self._memory.applications[session.client_id]
            return Caller(session.user, tuple(application.scope), application.client_id)
        if (where.user, where.code) == (str(ADMIN), WEBHOOK_CODE):
            return Caller(ADMIN, SCOPES)
        raise Refusal(401, "NO_AUTH_FOUND")

    def called(self, caller: Caller, name: str, params: Tree) -> Found:
        """What a method answers, `batch` among them. Raises Refusal."""
        plain = {key.lower(): value for key, value in params.items() if key.lower() not in _CREDENTIALS}
        if name == "batch":
            return batched(plain, lambda method, inner: self._one(caller, method, inner), self.times)
        return self._one(caller, name, plain)

    def _one(self, caller: Caller, name: str, params: Tree) -> Found:
        method = _METHODS.get(name.lower().removesuffix(".json"))
        if method is None:
            raise Refusal(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if method.application_only and not caller.client_id:
            raise Refusal(403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
        if method.scope and method.scope not in caller.scope:
            words = "The request requires higher privileges than provided by the access token"
            raise Refusal(403, "insufficient_scope", words)
        folded = {key.lower(): value for key, value in params.items()}
        return method.answer(Call(self._memory, self._courier, caller, folded, self._now, self._lifetime_s))

    def times(self) -> Tree:
        """The time block of an answer."""
        now = round(self._now, 6)
        return {
            "start": now,
            "finish": now,
            "duration": 0.0,
            "processing": 0.0,
            "date_start": moment(now),
            "date_finish": moment(now),
            "operating_reset_at": math.ceil(now) + _OPERATING_WINDOW_S,
            "operating": 0.0,
        }

    def enveloped(self, found: Found) -> Answer:
        """The answer to a call."""
        document: Tree = {"result": shaped(found.value)}
        if found.next is not None:
            document["next"] = found.next
        if found.total is not None:
            document["total"] = found.total
        return Answer(200, msgspec.json.encode({**document, "time": self.times()}), headers=HEADERS)

    def refused(self, refusal: Refusal) -> Answer:
        """The answer to a call that is refused."""
        location = text(refusal.more.get("Location"))
        if location:
            page = f'<html><body>The portal is at <a href="{location}">another address</a>.</body></html>'
            html = (("content-type", "text/html; charset=utf-8"), ("location", location))
            return Answer(refusal.status, page.encode(), headers=html, reason=refusal.code)
        document = refusal.document()
        if refusal.code == "OPERATION_TIME_LIMIT":
            reset_at = number(document.pop("operating_reset_at", 0)) or math.ceil(self._now) + _OPERATING_WINDOW_S
            document["time"] = {**self.times(), "operating_reset_at": reset_at, "operating": 480.0}
        return Answer(refusal.status, msgspec.json.encode(document), headers=HEADERS, reason=refusal.code)
