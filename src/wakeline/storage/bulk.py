"""The ledger of bulk notifications: 8 bytes a recipient, zeros while it waits (`model.delivery.BULK_ENTRY`)."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, STATES_BY_NUMBER, DeliveryRow, DeliveryState, unpack_all

ENTRY_BYTES = BULK_ENTRY.size
UNSETTLED = bytes(ENTRY_BYTES)
_LATEST = (1 << 32) - 1
_MOST_TRIES = 255


def blank(recipients: bytes) -> bytes:
    """Return the results of a chunk of which nothing is settled."""
    return bytes(len(recipients))


def patched(results: bytes, entries: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a chunk's results with new entries: one or several from each position on."""
    changed = bytearray(results)
    for position, run in entries:
        start = position * ENTRY_BYTES
        changed[start : start + len(run)] = run
    return bytes(changed)


def entry(state: DeliveryState, *, tries: int, code: int, at: int, created: int) -> bytes:
    """Return one entry; `at` and `created` in Unix ms."""
    seconds = min(max(0, at - created) // 1000, _LATEST)
    return BULK_ENTRY.pack(STATE_NUMBERS[state], min(tries, _MOST_TRIES), code, seconds)


def state_at(results: bytes, place: int) -> DeliveryState | None:
    """Return the state of an entry; None while nothing is settled there."""
    start = place * ENTRY_BYTES
    return STATES_BY_NUMBER[results[start]] if results[start : start + ENTRY_BYTES] != UNSETTLED else None


def told(results: bytes, position: int, state: DeliveryState, *, tries: int, at: int, created: int) -> bytes:
    """Return an entry for what the device said; the code that was settled there stays."""
    code = BULK_ENTRY.unpack_from(results, position * ENTRY_BYTES)[2]
    return entry(state, tries=tries, code=code, at=at, created=created)


def position(recipients: bytes, target: int) -> int | None:
    """Return where a target stands among packed recipients: its six bytes are the upper ones of eight."""
    wanted = target.to_bytes(6, "little")
    found = recipients.find(wanted, 2)
    while found % ENTRY_BYTES != 2 and found >= 0:  # in a number that ends where another begins
        found = recipients.find(wanted, found + 1)
    return None if found < 0 else found // ENTRY_BYTES


def positions(recipients: bytes, wanted: bytes) -> list[int]:
    """Return where the packed recipients `wanted` stand in a chunk."""
    places = {recipient: place for place, recipient in enumerate(unpack_all(recipients))}
    return [places[recipient] for recipient in unpack_all(wanted) if recipient in places]


def row_at(results: bytes, position: int, *, notification: int, target: int, created: int) -> DeliveryRow | None:
    """Read an entry as a row; None while nothing is settled there. A number outside 900-999 is a provider's HTTP status."""
    start = position * ENTRY_BYTES
    data = results[start : start + ENTRY_BYTES]
    if data == UNSETTLED:
        return None
    number, tries, code, seconds = BULK_ENTRY.unpack(data)
    ours = 900 <= code <= 999
    return DeliveryRow(
        notification=notification,
        target=target,
        state=STATES_BY_NUMBER[number],
        code=code if ours else 0,
        status=0 if ours else code,
        reason="",
        outcome_class="",
        provider_id="",
        tries=tries,
        at=created + seconds * 1000,
    )


def may_hold(results: bytes, state: DeliveryState) -> bool:
    """Tell quickly whether a chunk has an entry in this state."""
    return STATE_NUMBERS[state] in results[::ENTRY_BYTES]
