"""A phone for other people's SIP proxies: one UDP socket, SIP as text, and messages that are waited for."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

PATIENCE = 20.0
"""Seconds to wait for a message."""


class Message:
    """A SIP message as it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.head = text.partition("\r\n")[0]

    @property
    def status(self) -> int:
        """Return the status of a response; 0 for a request."""
        return int(self.head.split()[1]) if self.head.startswith("SIP/2.0 ") else 0

    def all(self, name: str) -> list[str]:
        """Return the values of a header field."""
        return re.findall(rf"(?im)^{name}:[ \t]*(.*?)\r?$", self.text)

    def one(self, name: str) -> str:
        """Return the first value of a header field."""
        return self.all(name)[0]


class UdpPhone:
    """A phone of `user` at a domain whose proxy listens on a port of this machine."""

    def __init__(self, user: str, domain: str, proxy: int, *, push: str = "") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._proxy = ("127.0.0.1", proxy)
        self.port = self._socket.getsockname()[1]
        self.aor = f"sip:{user}@{domain}"
        self.domain = domain
        self.contact = f"<sip:{user}@127.0.0.1:{self.port}{push}>"
        self.instance = f"<urn:uuid:{uuid.uuid4()}>"
        self._number = 0
        self._seen: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._socket.close()

    def register(self, expires: int = 3600) -> Message:
        """Register and return the answer."""
        contact = f'{self.contact};+sip.instance="{self.instance}"'
        call = uuid.uuid4().hex
        self.send(
            "REGISTER", f"sip:{self.domain}", self.aor, call=call, more=f"Contact: {contact}\r\nExpires: {expires}\r\n"
        )
        return self._wait(lambda one: one.status >= 200 and one.one("Call-ID") == call, "answer to REGISTER")

    def invite(self, to: str, call: str) -> str:
        """Call somebody; returns the branch of the INVITE, whose CSeq is 1."""
        self._number = 0
        return self.send("INVITE", to, to, call=call, more=f"Contact: {self.contact}\r\n")

    def send(
        self, method: str, uri: str, to: str, *, call: str = "", branch: str = "", more: str = "", body: str = ""
    ) -> str:
        """Send a request that begins something, or belongs to it by `call` and `branch`; returns its branch."""
        self._number += 1
        branch = branch or f"z9hG4bK{uuid.uuid4().hex}"
        self.raw(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport\r\n"
            f"From: <{self.aor}>;tag={self.port}\r\nTo: <{to}>\r\nCall-ID: {call or uuid.uuid4().hex}\r\n"
            f"CSeq: {1 if method in ('CANCEL', 'ACK') else self._number} {method}\r\nMax-Forwards: 70\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        return branch

    def raw(self, text: str) -> None:
        """Send text."""
        self._socket.sendto(text.encode(), self._proxy)

    def answer(self, request: Message, status: int, words: str, *, contact: bool = False) -> None:
        """Answer a request."""
        kept = "".join(f"Via: {value}\r\n" for value in request.all("Via"))
        kept += "".join(f"Record-Route: {value}\r\n" for value in request.all("Record-Route"))
        kept += "".join(f"{name}: {request.one(name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        own = f"Contact: {self.contact}\r\n" if contact else ""
        self.raw(
            f"SIP/2.0 {status} {words}\r\n{kept}To: {request.one('To')};tag={self.port}\r\n{own}Content-Length: 0\r\n\r\n"
        )

    def response(self, status: int, method: str, call: str = "") -> Message:
        """Wait for a response of this status, to a request of this call."""

        def fits(one: Message) -> bool:
            return one.status == status and one.one("CSeq").endswith(method) and call in ("", one.one("Call-ID"))

        return self._wait(fits, f"{status} {method} {call}")

    def request(self, method: str, call: str = "") -> Message:
        """Wait for a request of this call."""
        return self._wait(
            lambda one: one.head.startswith(f"{method} ") and call in ("", one.one("Call-ID")), f"{method} {call}"
        )

    def seen(self, seconds: float = 0.0) -> list[Message]:
        """Return all that came and was not waited for; `seconds` for stragglers."""
        while (message := self._receive(seconds)) is not None:
            self._seen.append(message)
        return list(self._seen)

    def _wait(self, fits: Callable[[Message], bool], what: str) -> Message:
        end, looked = time.monotonic() + PATIENCE, 0
        while True:
            for message in self._seen[looked:]:
                if fits(message):
                    self._seen.remove(message)
                    return message
            looked = len(self._seen)
            newest = self._receive(max(0.0, end - time.monotonic()))
            if newest is None:
                raise AssertionError(f"no {what} within {PATIENCE} s; came: {[one.head for one in self._seen]}")
            self._seen.append(newest)

    def _receive(self, seconds: float) -> Message | None:
        self._socket.settimeout(max(seconds, 0.001))
        try:
            return Message(self._socket.recv(65_535).decode())
        except TimeoutError:
            return None
