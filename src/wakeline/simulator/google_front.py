"""Google's front end: one port with FCM v1, the OAuth token endpoint and Web Push behind it."""

from __future__ import annotations

from wakeline.simulator import fcm, webpush
from wakeline.simulator.behaviour import Behaviour
from wakeline.simulator.exchange import Answer, Exchange, Peer, Request
from wakeline.simulator.oauth import TOKEN_PATH, token_answer
from wakeline.simulator.state import State


class GoogleService:
    """Everything on the FCM port."""

    provider = fcm.PROVIDER

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def behaviour(self) -> Behaviour:
        """FCM's, as set by `POST /behave`: it rules the connections of the port."""
        return self._state.behaviours[self.provider]

    def trusts_at_first(self, peer: Peer) -> bool:  # noqa: ARG002 - Google announces the same to everybody
        """Google gives every connection its streams at once."""
        return True

    def connect(self, peer: Peer) -> Exchange:
        """The judge of one connection."""

        def exchange(request: Request) -> Answer:
            return self._state.conclude(request, self._answer(request), peer)

        return exchange

    def _answer(self, request: Request) -> Answer:
        if request.path.partition("?")[0] == TOKEN_PATH:
            return token_answer(request, self._state)
        if request.path.startswith(webpush.PATH):
            return webpush.message_answer(request, self._state)
        return fcm.send_answer(request, self._state)
