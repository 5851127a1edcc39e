"""One phone of a fork: asleep and waited for, or asked and maybe answered."""

from __future__ import annotations

from typing import assert_never

from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.waking import Wake
from wakeline.model.sip.binding import Binding
from wakeline.wire.sip.message import Response

VOIP = "voip"
UNREACHED = (408, 503)
"""What a way to a phone says that leads nowhere; the phone itself says something else."""


class Branch:
    """`held`: it waits for the phone. `result`: how it ended, a response of the phone or a status of ours; None: it did not yet."""

    __slots__ = ("binding", "client", "held", "result", "wake")

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.client: ClientTransaction | None = None
        self.wake: Wake | None = None
        self.held = False
        self.result: Response | int | None = None

    @property
    def open(self) -> bool:
        """Tell whether a final answer may still come."""
        return self.result is None

    @property
    def rings(self) -> bool:
        """Tell whether the phone said something, and not yet its last word."""
        return self.open and self.client is not None and self.client.status > 0

    @property
    def may_be_asked_again(self) -> bool:
        """Tell whether a phone that registers now is to be asked: it never was, or what it was asked did not reach it."""
        if self.result is None:
            return self.held or (self.client is not None and self.client.status == 0)
        if isinstance(self.result, int):
            return self.result in (408, 480)
        return self.result.status in UNREACHED

    @property
    def must_be_called(self) -> bool:
        """Tell whether the phone was woken by a VoIP push that may have arrived: iOS ends apps that show no call then."""
        push = self.binding.push
        return self.wake is not None and not self.wake.taken_back and push is not None and push.token(VOIP) is not None

    def is_of(self, binding: Binding) -> bool:
        """Tell whether this is the phone that registered: by its uid, or by a push token that nobody else can have."""
        ours, theirs = self.binding.push, binding.push
        if self.binding.uid == binding.uid:
            return True
        return ours is not None and theirs is not None and any(token in theirs.tokens for token in ours.tokens)

    def end(self, result: Response | int) -> None:
        """Note how it ended; a push that was not sent yet is not needed any more."""
        self.result = result
        self.held = False
        if self.wake is not None:
            self.wake.end(take_back=True)


def status_of(failure: Failure) -> int:
    """Return what a failure means for the caller: 408 only if a phone was asked and time ran out."""
    match failure:
        case Failure.TIMEOUT:
            return 408
        case Failure.UNREACHABLE:
            return 480
        case Failure.CANCELLED:
            return 487
        case _:
            assert_never(failure)
