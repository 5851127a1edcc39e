"""The fake Apple Push Notification service: `POST /3/device/<token>`.

A request is checked in this order, and the first fault is the answer: path and method, credential, topic, headers,
payload, token, script. Every answer bears `apns-id` in lower case, the request's own or a new one; success has no
body; an error is `{"reason"}` and, with every 410, `timestamp` in milliseconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec

from wakeline.simulator import apns_rules as rules
from wakeline.simulator.apns_auth import Admission, ConnectionAuth, Refusal, TokenReader
from wakeline.simulator.behaviour import Behaviour
from wakeline.simulator.exchange import JSON_TYPE, Answer, Exchange, Peer, Request
from wakeline.simulator.script import ScriptedAnswer, performed
from wakeline.simulator.state import State

_DEVICE_PATH = "/3/device"


class ApnsService:
    """APNs behind one port."""

    provider = "apns"

    def __init__(self, state: State) -> None:
        self._state = state
        self._reader = TokenReader()

    @property
    def behaviour(self) -> Behaviour:
        """As set by `POST /behave`."""
        return self._state.behaviours[self.provider]

    def trusts_at_first(self, peer: Peer) -> bool:
        """A certificate was shown in the handshake; without one only a stream is given until a token is shown."""
        return peer.certificate is not None

    def connect(self, peer: Peer) -> Exchange:
        """The judge of one connection."""
        auth = ConnectionAuth(self._state, self._reader, peer)

        def exchange(request: Request) -> Answer:
            return self._state.conclude(request, self._judge(request, auth, peer), peer)

        return exchange

    def _judge(self, request: Request, auth: ConnectionAuth, peer: Peer) -> Answer:
        target = request.path.removeprefix(_DEVICE_PATH).lstrip("/")
        verdict: Admission | Refusal | None = None
        reason = _path_fault(request)
        if not reason:
            verdict = auth.admit(request)
            reason = verdict.reason if isinstance(verdict, Refusal) else self._fault(request, verdict, target, peer)
        answer = self._refused(reason) if reason else self._played(target, peer)
        trusted = None if verdict is None or peer.certificate else isinstance(verdict, Admission)
        return _identified(answer, request, target, trusted=trusted)

    def _fault(self, request: Request, admission: Admission, target: str, peer: Peer) -> str:
        topic = request.headers.get("apns-topic") or _only(admission)
        faults = (
            _topic_faults(request, admission, topic),
            _header_faults(request),
            _payload_faults(request),
            self._token_faults(target, topic, peer),
        )
        return next((reason for group in faults for reason in group), "")

    def _token_faults(self, target: str, topic: str, peer: Peer) -> Iterator[str]:
        if not target:
            yield "MissingDeviceToken"
        if not rules.HEX.fullmatch(target):
            yield "BadDeviceToken"
        place = self._state.place(target)
        if place is not None and peer.environment and place.environment not in ("", peer.environment):
            yield "BadDeviceToken"
        if place is not None and place.topic not in ("", topic):
            yield "DeviceTokenNotForTopic"

    def _refused(self, reason: str) -> Answer:
        return _error(rules.STATUS[reason], {"reason": reason}, reason)

    def _played(self, target: str, peer: Peer) -> Answer:
        scripted = self._state.scripts.next(self.provider, target)
        if scripted is None:
            return _accepted(peer)
        answer = _accepted(peer) if scripted.status == 200 else self._scripted_error(scripted)
        return performed(answer, scripted)

    def _scripted_error(self, scripted: ScriptedAnswer) -> Answer:
        reason = scripted.cause or rules.SCRIPTED_REASON.get(scripted.status, "")
        document: dict[str, object] = {"reason": reason} if reason else {}
        if scripted.status == 410:
            now = int(self._state.clock() * 1000)
            document["timestamp"] = now if scripted.timestamp is None else scripted.timestamp
        elif scripted.timestamp is not None:
            document["timestamp"] = scripted.timestamp
        return _error(scripted.status, document, reason)


def _path_fault(request: Request) -> str:
    path = request.path
    if path != _DEVICE_PATH and not path.startswith(f"{_DEVICE_PATH}/"):
        return "BadPath"
    return "" if request.method == "POST" else "MethodNotAllowed"


def _topic_faults(request: Request, admission: Admission, topic: str) -> Iterator[str]:
    if not topic:
        yield "MissingTopic"
    if not rules.TOPIC.fullmatch(topic):
        yield "BadTopic"
    push_type = rules.PUSH_TYPES.get(request.headers.get("apns-push-type", ""), rules.UNSAID)
    if not admission.allows(topic) or not topic.endswith(push_type.suffix):
        yield "TopicDisallowed"


def _header_faults(request: Request) -> Iterator[str]:
    headers = request.headers
    if request.repeated:
        yield "DuplicateHeaders"
    if not rules.UUID.fullmatch(headers.get("apns-id", "00000000-0000-0000-0000-000000000000")):
        yield "BadMessageId"
    if headers.get("apns-push-type", "alert") not in rules.PUSH_TYPES:
        yield "InvalidPushType"
    push_type = rules.PUSH_TYPES.get(headers.get("apns-push-type", ""), rules.UNSAID)
    # Left out it is 10, and 10 is an error for a background push.
    if headers.get("apns-priority", "10") not in push_type.priorities:
        yield "BadPriority"
    if not rules.EXPIRATION.fullmatch(headers.get("apns-expiration", "0")):
        yield "BadExpirationDate"
    if not 0 < len(headers.get("apns-collapse-id", "-").encode()) <= rules.COLLAPSE_ID_LIMIT:
        yield "BadCollapseId"


def _payload_faults(request: Request) -> Iterator[str]:
    push_type = rules.PUSH_TYPES.get(request.headers.get("apns-push-type", ""), rules.UNSAID)
    if not request.body:
        yield "PayloadEmpty"
    if len(request.body) > push_type.limit:
        yield "PayloadTooLarge"
    try:
        payload = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        payload = None
    if not isinstance(payload, dict) or not isinstance(payload.get("aps", {}), dict):
        yield "BadRequestPayload"


def _only(admission: Admission) -> str:
    """A certificate with one topic says which it is; a key never does."""
    return admission.topics[0] if admission.exact and len(admission.topics) == 1 else ""


def _accepted(peer: Peer) -> Answer:
    unique = (("apns-unique-id", str(uuid.uuid4())),) if peer.environment == "sandbox" else ()
    return Answer(200, headers=unique)


def _error(status: int, document: dict[str, object], reason: str) -> Answer:
    return Answer(status, msgspec.json.encode(document) if document else b"", headers=(JSON_TYPE,), reason=reason)


def _identified(answer: Answer, request: Request, target: str, *, trusted: bool | None) -> Answer:
    identity = request.headers.get("apns-id", "").lower()
    if not rules.UUID.fullmatch(identity):
        identity = str(uuid.uuid4())
    return msgspec.structs.replace(
        answer,
        headers=(("apns-id", identity), *answer.headers),
        provider=ApnsService.provider,
        target=target,
        identity=identity,
        collapse=request.headers.get("apns-collapse-id", ""),
        trusted=trusted,
    )
