"""The half of a connection that reads answers: header blocks, bodies, resets, and the windows we grant.

Rules of RFC 9113 are named where they are obeyed. Frames on streams that are closed are ignored: we may have reset them
while the peer wrote (section 5.1), and DATA on them still counts for the connection's window.
"""

from __future__ import annotations

from wakeline.wire.http2 import frames
from wakeline.wire.http2.answers import Answer, Lost, Malformed, status_of
from wakeline.wire.http2.frames import ErrorCode, PeerBroke
from wakeline.wire.http2.outgoing import Outgoing
from wakeline.wire.http2.streams import Reply, Streams

BODY_LIMIT = 65_536
"""Bytes of an answer's body that are kept; a longer one is cut and its stream reset."""
HEADER_LIMIT = 65_536
STREAM_WINDOW = 2 * BODY_LIMIT
CONNECTION_WINDOW = 4 * 1024 * 1024
_MAX_CONTINUATIONS = 64


class Incoming:
    """Puts answers together; what it learns goes to `streams`, what has to be said about it to `out`."""

    def __init__(self, streams: Streams, out: Outgoing) -> None:
        self.block: tuple[int, bool, list[bytes]] | None = None
        """The header block that is being continued: stream, END_STREAM, pieces. Nothing else may come before its end."""
        self._streams = streams
        self._out = out
        self._window = CONNECTION_WINDOW
        self._consumed = 0

    def on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        """A header block begins, perhaps ends (section 6.2)."""
        self.must_be_ours(stream, "HEADERS")
        block = _unpadded(flags, payload)
        if flags & frames.HAS_PRIORITY:
            if len(block) < 5:
                raise PeerBroke(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            block = block[5:]
        ends = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._on_block(stream, block, ends=ends)
        else:
            self.block = (stream, ends, [block])

    def on_continuation(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """A header block goes on (section 6.10)."""
        if self.block is None or kind != frames.CONTINUATION or stream != self.block[0]:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "a header block is not continued as it must be")  # section 6.10
        _, ends, pieces = self.block
        pieces.append(payload)
        if len(pieces) > _MAX_CONTINUATIONS or sum(map(len, pieces)) > HEADER_LIMIT:
            raise PeerBroke(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self.block = None
            self._on_block(stream, b"".join(pieces), ends=ends)

    def _on_block(self, stream: int, block: bytes, *, ends: bool) -> None:
        """A header block is whole: an interim answer, the head of an answer, or trailers (section 8.1)."""
        if reply := self._streams.replies.get(stream):
            if ends:
                self._finish(stream, reply)
            else:
                self.stream_error(stream, ErrorCode.PROTOCOL_ERROR, "trailers that do not end the stream")
            return
        segment = self._streams.waiting.get(stream)
        if segment is None:
            return
        try:
            status = status_of(block)
        except Malformed as error:
            self.stream_error(stream, ErrorCode.PROTOCOL_ERROR, error.detail)
            return
        if status < 200:
            if ends:
                self.stream_error(stream, ErrorCode.PROTOCOL_ERROR, "an interim answer that ends the stream")
            return
        del self._streams.waiting[stream]
        reply = self._streams.replies[stream] = Reply(segment, status, block, STREAM_WINDOW)
        if ends:
            self._finish(stream, reply)

    def on_data(self, flags: int, stream: int, payload: bytes) -> None:
        """A part of a body (section 6.1)."""
        self.must_be_ours(stream, "DATA")
        size = len(payload)
        self._window -= size
        self._consumed += size
        if self._window < 0:
            raise PeerBroke(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")
        content = _unpadded(flags, payload)
        reply = self._streams.replies.get(stream)
        if reply is None:
            if stream in self._streams.waiting:
                self.stream_error(stream, ErrorCode.PROTOCOL_ERROR, "DATA before the head of the answer")
            return
        reply.window -= size
        reply.body = reply.body + content if reply.body else content
        if flags & frames.END_STREAM:
            self._finish(stream, reply)
        elif len(reply.body) > BODY_LIMIT:
            self._finish(stream, reply)
            self.reset(stream, ErrorCode.CANCEL)
        elif reply.window < STREAM_WINDOW // 2:
            self._out.pieces.append(frames.window_update(stream, STREAM_WINDOW - reply.window))
            reply.window = STREAM_WINDOW

    def _finish(self, stream: int, reply: Reply) -> None:
        """The answer is whole, or as much of it as we want."""
        del self._streams.replies[stream]
        segment = reply.segment
        if reply.status == 200 and not segment.keep:
            self._streams.accept(segment, stream)
            return
        body = reply.body[:BODY_LIMIT]
        detail = "the answer was longer than 64 KiB and is cut" if len(reply.body) > BODY_LIMIT else ""
        answer = Answer(status=reply.status, body=body, detail=detail, block=reply.block)
        self._streams.answer(segment, stream, answer)

    def return_window(self) -> None:
        """Give the bytes of received DATA, padding included, back to the connection's window (section 6.9)."""
        if self._window < CONNECTION_WINDOW // 2:
            self._out.pieces.append(frames.window_update(0, self._consumed))
            self._window += self._consumed
            self._consumed = 0

    # --- streams -----------------------------------------------------------------------------------------------------

    def must_be_ours(self, stream: int, what: str) -> None:
        """Section 5.1: frames about streams that nobody opened break the connection."""
        if not stream & 1 or stream >= self._out.next_stream:
            raise PeerBroke(ErrorCode.PROTOCOL_ERROR, f"{what} on a stream that was never opened")

    def stream_error(self, stream: int, code: ErrorCode, detail: str) -> None:
        """Section 5.4.2: end one stream because of what the peer did on it."""
        self._out.drop(stream)
        self._streams.lose(stream, Lost.UNKNOWN, f"{detail} ({code.name})")
        self.reset(stream, code)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Tell the server that a stream is over."""
        self._out.pieces.append(frames.rst_stream(stream, code))

    def on_rst_stream(self, flags: int, stream: int, payload: bytes) -> None:
        """The server ends a stream (section 6.4)."""
        del flags
        must_have(payload, 4, "RST_STREAM")
        self.must_be_ours(stream, "RST_STREAM")
        code = int.from_bytes(payload, "big")
        self._out.drop(stream)
        if code == ErrorCode.REFUSED_STREAM and stream in self._streams.waiting:  # section 8.7
            self._streams.refuse(stream)
        else:
            self._streams.lose(stream, Lost.UNKNOWN, f"the server reset the stream: {frames.error_name(code)}")


def must_have(payload: bytes, size: int, what: str) -> None:
    """Check the length of a frame that has but one. Raises PeerBroke."""
    if len(payload) != size:
        raise PeerBroke(ErrorCode.FRAME_SIZE_ERROR, f"{what} of {len(payload)} bytes")


def _unpadded(flags: int, payload: bytes) -> bytes:
    """Return a payload without its padding (section 6.1)."""
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise PeerBroke(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]
