"""HTTP/2 for unary clients, sans-I/O: many small requests, as many small answers, over few connections.

Theory of operation. APNs and FCM take one small request and give one small answer, thousands at a time. A general
HTTP/2 library pays for generality on every frame; this one pays per *batch*:

- `RequestBatch` says once what all requests share; `Connection.send` writes as many as the peer's limits allow, all
  frames in one list, and `take` joins them into one write.
- Stable header fields live in the peer's table and cost a byte (`encoder`). Our own table has size 0, so answers are
  independent of each other and are decoded only if somebody reads them (`answers`).
- Neighbouring stream ids make a segment (`streams`); an answer costs a dictionary look-up and a list append, and
  `Connection.receive` returns one `Answered` per segment.

Everything unusual leaves these fast ways and is treated frame by frame (`connection`, `incoming`, `outgoing`): limits that change,
windows, CONTINUATION, padding, interim answers, trailers, resets, GOAWAY, PING, deadlines. A peer that breaks RFC 9113
ends the connection with the error code that names it.

The driver's part: pass bytes and the time, write what `take` returns, close when `error` is set or when `goaway` is
and nothing is in flight, and call `abandon` when the socket is gone.
"""

from __future__ import annotations

from wakeline.wire.http2.answers import Answer, ConnectFailure, FailureKind, Fields, Lost
from wakeline.wire.http2.connection import Connection, GoAway
from wakeline.wire.http2.frames import ErrorCode, PeerBroke
from wakeline.wire.http2.incoming import BODY_LIMIT
from wakeline.wire.http2.requests import Answered, Ends, OneField, RequestBatch

__all__ = [
    "BODY_LIMIT",
    "Answer",
    "Answered",
    "ConnectFailure",
    "Connection",
    "Ends",
    "ErrorCode",
    "FailureKind",
    "Fields",
    "GoAway",
    "Lost",
    "OneField",
    "PeerBroke",
    "RequestBatch",
]
