"""What is wrong with what a peer sent, and the status that says so (RFC 3261 section 21.4).

`Broken` is raised by whoever reads the wrong place. A message that passed `message.fault` raises nothing when its start line,
Via, From, To, Call-ID, CSeq, Max-Forwards and Content-Length are read; other header fields are read at the reader's risk.
"""

from __future__ import annotations

from wakeline.model.errors import RemoteProtocolError


class Broken(RemoteProtocolError):
    """A peer broke SIP. `answer` is the status of the response, if it was a request that can be answered at all."""

    def __init__(self, detail: str, answer: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.answer = answer
