"""The half of a connection that writes: requests become frames, as far as the peer's limits allow.

Theory: almost every request fits one HEADERS and one DATA frame inside all windows and finds its stable fields in the
peer's header table. `_send_run` writes those with one `list +=` each and stops in front of any other, which `_send_one`
then treats with all the care of RFC 9113: table changes, CONTINUATION, header list limits, bodies cut to windows.
A body that does not fit its window waits in `_uploads` and goes on when the window opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from wakeline.wire.http2 import frames
from wakeline.wire.http2.answers import Fields, Lost
from wakeline.wire.http2.encoder import Encoder, Prefix, list_size, literal_start, text_length
from wakeline.wire.http2.frames import ErrorCode, PeerBroke
from wakeline.wire.http2.requests import Ends, OneField, RequestBatch
from wakeline.wire.http2.streams import Segment, Streams

_PATH = b"\x04"  # RFC 7541: literal without indexing, name of static entry 4
_PATH_MOST = 5 + 32  # what a `:path` counts in a header list beyond its bytes in a block, at most
_FIELD_MOST = 27 + 32  # the same for any field: the longest name of the static table, which may cost one byte
NO_LIMIT = 2**62


class Upload:
    """A request body of which a part waits for a window."""

    __slots__ = ("body", "sent", "window")

    def __init__(self, body: bytes, window: int) -> None:
        self.body = body
        self.sent = 0
        self.window = window


class Outgoing:
    """Frames to write, the peer's limits, and the send windows."""

    def __init__(self, streams: Streams) -> None:
        self.pieces: list[bytes] = []
        self.unwritten = 0
        """Bytes of requests among `pieces`, roughly."""
        self.next_stream = 1
        self.window = frames.DEFAULT_WINDOW
        self.initial_window = frames.DEFAULT_WINDOW
        self.max_frame = frames.DEFAULT_FRAME_SIZE
        self.max_header_list = NO_LIMIT
        self.encoder = Encoder()
        self._streams = streams
        self._uploads: dict[int, Upload] = {}

    def send(self, batch: RequestBatch, indexes: Sequence[int], attempt: int, max_bytes: int) -> int:
        """Write requests while the connection window is open and fewer than `max_bytes` were written; return how many."""
        first, done, budget = self.next_stream, 0, max_bytes
        problems: dict[int, str] = {}
        while done < len(indexes) and budget > 0 and self.window > 0:
            prefix = self.encoder.settled(batch.stable, batch.literal)
            count, spent = (0, 0) if prefix is None else self._send_run(batch, indexes[done:], prefix, budget)
            if not count:
                problem, spent = self._send_one(batch, indexes[done])
                if problem:
                    problems[self.next_stream] = problem
                self.next_stream += 2  # also for one that was not sent: skipping an id is allowed, and keeps the order
                count = 1
            done, budget = done + count, budget - spent
        self.unwritten += max_bytes - budget
        if done:
            self._streams.open(Segment(batch, indexes[:done], first, attempt))
        for stream, problem in problems.items():
            self._streams.lose(stream, Lost.NOT_WRITTEN, problem)
        return done

    def _send_run(self, batch: RequestBatch, indexes: Sequence[int], prefix: Prefix, budget: int) -> tuple[int, int]:
        """Write plain requests up to the first that is not; return their number and bytes. The hot loop of the engine."""
        roomy, largest = self._roomy(batch, indexes, prefix), min(self.max_frame, self.initial_window)
        if isinstance(batch.paths, Ends) and isinstance(batch.extra, OneField) and isinstance(batch.body, bytes):
            return self._send_alike(batch.paths, batch.extra, batch.body, indexes, prefix, (roomy, largest, budget))
        window, stream, spent = self.window, self.next_stream, 0
        size = length = each = -1
        headers_start = data_start = b""
        out, pack = self.pieces, frames.STREAM_ID.pack
        for block, body in zip(_blocks(batch, prefix, indexes), _bodies(batch, indexes), strict=False):
            if len(block) != size or len(body) != length:
                size, length = len(block), len(body)
                if size > roomy or not 0 < length <= largest:
                    break
                each = size + length
                headers_start = frames.frame_start(size, frames.HEADERS, frames.END_HEADERS)
                data_start = frames.frame_start(length, frames.DATA, frames.END_STREAM)
            if length > window:
                break
            number = pack(stream)
            out += (headers_start, number, block, data_start, number, body)
            stream += 2
            window -= length
            spent += each
            if spent >= budget:
                break
        count = (stream - self.next_stream) >> 1
        self.window, self.next_stream = window, stream
        return count, spent

    def _send_alike(
        self,
        paths: Ends,
        extra: OneField,
        body: bytes,
        indexes: Sequence[int],
        prefix: Prefix,
        limits: tuple[int, int, int],
    ) -> tuple[int, int]:
        """Write requests that differ in the ends of two values only, column by column: nothing runs for each of them.

        `limits`: the largest block and body, and the bytes after which it stops. All else as `_send_run`.
        """
        (roomy, largest, budget), values = limits, extra.values
        before = prefix.before + _PATH + text_length(len(paths.start) + paths.size) + paths.start
        between = prefix.after + literal_start(extra.name) + text_length(len(values.start) + values.size) + values.start
        size, length = len(before) + paths.size + len(between) + values.size, len(body)
        if size > roomy or not 0 < length <= largest:
            return 0, 0
        each = size + length
        count = min(len(indexes), -(-budget // each), self.window // length)
        some = indexes[:count]
        start = frames.frame_start(size, frames.HEADERS, frames.END_HEADERS)
        data = frames.frame_start(length, frames.DATA, frames.END_STREAM)
        numbers = list(map(frames.STREAM_ID.pack, range(self.next_stream, self.next_stream + 2 * count, 2)))
        pieces = [start, b"", before, b"", between, b"", data, b"", body] * count
        pieces[1::9] = pieces[7::9] = numbers
        pieces[3::9] = _at(paths.ends, some)
        pieces[5::9] = _at(values.ends, some)
        self.pieces += pieces
        self.next_stream += 2 * count
        self.window -= length * count
        return count, each * count

    def _roomy(self, batch: RequestBatch, indexes: Sequence[int], prefix: Prefix) -> int:
        """Return the block size up to which these requests surely break no limit of the server.

        A header list is longer than its block by what table and names save: for the shared fields that is known,
        `:path` adds at most _PATH_MOST bytes to its literal and any other field at most _FIELD_MOST.
        """
        if self.max_header_list == NO_LIMIT:
            return self.max_frame
        shared = list_size(batch.stable) + list_size(batch.literal) - len(prefix.before) - len(prefix.after)
        if isinstance(batch.extra, OneField):
            fields = 1
        else:
            fields = max([len(batch.extra[index]) for index in indexes]) if batch.extra else 0
        own = _PATH_MOST + _FIELD_MOST * fields
        return min(self.max_frame, self.max_header_list - shared - own)

    def _send_one(self, batch: RequestBatch, index: int) -> tuple[str, int]:
        """Write any request on the next stream; return ("", bytes written) or why it cannot be sent."""
        own: Fields = batch.extra[index] if batch.extra else ()
        if not _has_path(batch):
            own = ((b":path", batch.paths[index]), *own)
        listed = list_size(batch.stable) + list_size(batch.literal) + list_size(own)
        if listed > self.max_header_list:
            return f"a header list of {listed} bytes; the server takes {self.max_header_list}", 0
        block = _block(batch, self.encoder.prefix(batch.stable, batch.literal), index)
        body = batch.body if isinstance(batch.body, bytes) else batch.body[index]
        stream = self.next_stream
        self.pieces.append(frames.header_frames(stream, block, end_stream=not body, max_frame=self.max_frame))
        if body:
            self._uploads[stream] = Upload(body, self.initial_window)
            self._continue(stream)
        return "", len(block) + len(body)

    # --- bodies that wait for a window -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Go on with waiting bodies, the oldest first."""
        for stream in list(self._uploads):
            if self.window <= 0:
                return
            self._continue(stream)

    def _continue(self, stream: int) -> None:
        upload = self._uploads[stream]
        whole = len(upload.body)
        while upload.sent < whole:
            size = min(self.max_frame, self.window, upload.window, whole - upload.sent)
            if size <= 0:
                return
            part = upload.body[upload.sent : upload.sent + size]
            upload.sent += size
            upload.window -= size
            self.window -= size
            flags = frames.END_STREAM if upload.sent == whole else 0
            self.pieces.append(frames.frame(frames.DATA, flags, stream, part))
        del self._uploads[stream]

    def drop(self, stream: int) -> bool:
        """Forget the unwritten part of a request; return whether there was one."""
        return self._uploads.pop(stream, None) is not None

    def stale_uploads(self) -> list[int]:
        """Return streams that ended while a part of their request was unwritten."""
        return [stream for stream in self._uploads if not self._streams.is_open(stream)]

    # --- the peer's limits -------------------------------------------------------------------------------------------

    def open_window(self, increment: int) -> None:
        """Apply a WINDOW_UPDATE of the connection. Raises PeerBroke."""
        if self.window + increment > frames.MAX_WINDOW:
            raise PeerBroke(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window grew over 2^31-1")
        self.window += increment

    def open_stream_window(self, stream: int, increment: int) -> bool:
        """Apply a WINDOW_UPDATE of a stream; False if its window grew over 2^31-1. Only unfinished bodies need one."""
        upload = self._uploads.get(stream)
        if upload is None:
            return True
        upload.window += increment
        return upload.window <= frames.MAX_WINDOW

    def set_initial_window(self, size: int) -> None:
        """Apply SETTINGS_INITIAL_WINDOW_SIZE, also to open streams (RFC 9113 section 6.9.2). Raises PeerBroke."""
        change = size - self.initial_window
        self.initial_window = size
        for upload in self._uploads.values():
            upload.window += change
            if upload.window > frames.MAX_WINDOW:
                raise PeerBroke(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS made a stream's window larger than 2^31-1")


def _bodies(batch: RequestBatch, indexes: Sequence[int]) -> Iterable[bytes]:
    bodies = batch.body
    return repeat(bodies) if isinstance(bodies, bytes) else [bodies[index] for index in indexes]


def _at(ends: Sequence[bytes], indexes: Sequence[int]) -> Sequence[bytes]:
    if isinstance(indexes, range):
        return ends[indexes.start : indexes.stop]
    return [ends[index] for index in indexes]


def _blocks(batch: RequestBatch, prefix: Prefix, indexes: Sequence[int]) -> Iterator[bytes]:
    """Return the header blocks of these requests."""
    if batch.extra and not _has_path(batch):
        return _usual_blocks(batch, prefix, indexes)
    return (_block(batch, prefix, index) for index in indexes)


def _usual_blocks(batch: RequestBatch, prefix: Prefix, indexes: Sequence[int]) -> Iterator[bytes]:
    """Nearly always a request has its path and one field, as long as those of the one before: the rest is the same then.

    Several fields are joined, without asking again whether the path is among the stable ones.
    """
    paths, extra = batch.paths, batch.extra
    path_size = value_size = -1
    head = middle = last = b""
    for index in indexes:
        path, fields = paths[index], extra[index]
        if len(path) != path_size:
            path_size = len(path)
            head = prefix.before + _PATH + text_length(path_size)
        if len(fields) != 1:
            own = [literal_start(name) + text_length(len(value)) + value for name, value in fields]
            yield b"".join((head, path, prefix.after, *own))
            continue
        ((name, value),) = fields
        if len(value) != value_size or name != last:
            last, value_size = name, len(value)
            middle = prefix.after + literal_start(name) + text_length(value_size)
        yield head + path + middle + value


def _block(batch: RequestBatch, prefix: Prefix, index: int) -> bytes:
    """Return the header block of one request."""
    path = b"" if _has_path(batch) else batch.paths[index]
    pieces = [prefix.before, _PATH + text_length(len(path)) + path if path else b"", prefix.after]
    for name, value in batch.extra[index] if batch.extra else ():
        pieces.append(literal_start(name) + text_length(len(value)) + value)
    return b"".join(pieces)


def _has_path(batch: RequestBatch) -> bool:
    return any(name == b":path" for name, _ in batch.stable)
