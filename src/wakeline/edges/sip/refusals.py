"""A request that is refused: raised where it is found out, answered where the request came in."""

from __future__ import annotations

from wakeline.model.errors import WakelineError

Fields = tuple[tuple[str, str], ...]


class Refused(WakelineError):
    """Answer the request so: `phrase` in place of the usual one; `fields` stand in the response beside what is copied.

    It stays inside the edge, and is told in SIP.
    """

    def __init__(self, status: int, detail: str, *, phrase: str = "", fields: Fields = ()) -> None:
        """`detail` is for the log: what it says may be nobody's business outside."""
        super().__init__(detail)
        self.answer = status
        self.phrase = phrase
        self.fields = fields
