"""110 Push sent: a caller learns that a phone is being woken. Belledonne's own code, so programs may be kept from it."""

from __future__ import annotations

from collections.abc import Callable

from wakeline.config import Sip
from wakeline.edges.sip.server_transactions import ServerTransaction


class PushSent:
    """Tells one caller, once, unless it has heard better or would end the call by it (`[sip] push_sent_not_to`)."""

    def __init__(self, server: ServerTransaction, program: str, settings: Callable[[], Sip]) -> None:
        self._server = server
        self._program = program
        self._settings = settings
        self._told = False

    def tell(self) -> None:
        """Say it. It has no To tag, and so makes no dialog."""
        if self._told or self._server.status > 100:
            return
        settings = self._settings()
        if settings.push_sent and not self._program.startswith(settings.push_sent_not_to):
            self._told = True
            self._server.answer(110)
