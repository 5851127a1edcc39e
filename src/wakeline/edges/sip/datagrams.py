"""A UDP socket: datagrams in by the handful, out at once.

Read by hand, not by asyncio's transport: that reads one datagram a turn of the loop, and under a flood the kernel would drop what
others sent. Here all that waits (up to a thousand) is taken off the kernel, and the inbox decides whose turn it is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import lru_cache

from wakeline.edges.sip.flows import Address, FlowGone, Transport

_AT_ONCE = 1000
_LARGEST = 65_536
_RECEIVE_BUFFER = 4 * 1024 * 1024
"""Asked of the kernel, which gives at most net.core.rmem_max: what a wake storm brings while the loop is busy elsewhere."""


class DatagramFlow:
    """An address, reached from one of our sockets."""

    __slots__ = ("_socket", "remote")

    def __init__(self, sock: DatagramSocket, remote: Address) -> None:
        self._socket = sock
        self.remote = remote

    @property
    def name(self) -> str:
        """Return the name by which it is found again."""
        return f"udp:{self.remote}{self._socket.mark}"

    @property
    def transport(self) -> Transport:
        """Return UDP."""
        return Transport.UDP

    @property
    def local(self) -> Address:
        """Return our address as the peer sees it."""
        return self._socket.local_for(self.remote.host)

    @property
    def open(self) -> bool:
        """Return True while the socket is there."""
        return self._socket.open

    def send(self, data: bytes) -> None:
        """Send one message. Raises FlowGone."""
        self._socket.send(self.remote, data)

    def at(self, port: int) -> DatagramFlow:
        """Return the flow to another port of the same host."""
        return DatagramFlow(self._socket, Address(self.remote.host, port))


class DatagramSocket:
    """One bound socket. `mark` tells it apart in names of flows: empty for the first, `@port` for others."""

    def __init__(
        self, bound: socket.socket, public_host: str, mark: str, received: Callable[[DatagramFlow, bytes], None]
    ) -> None:
        self._socket = bound
        self._received = received
        self._public_host = public_host
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        host, port = bound.getsockname()[:2]
        self.bound = Address(host, port)
        self.family = bound.family
        self.mark = mark
        self.unsent = 0
        """Datagrams that the kernel had no room for; whoever sent them repeats them."""
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        asyncio.get_running_loop().add_reader(bound.fileno(), self._read)

    @property
    def open(self) -> bool:
        """Return whether it is bound still."""
        return self._socket.fileno() >= 0

    def local_for(self, host: str) -> Address:
        """Return the address by which somebody there reaches this socket."""
        return Address(self._public_host or _reachable(self.bound.host, host, self.family), self.bound.port)

    def send(self, remote: Address, data: bytes) -> None:
        """Send a datagram. Raises FlowGone where there is no way to that address."""
        try:
            self._socket.sendto(data, (remote.host, remote.port))
        except (BlockingIOError, InterruptedError):
            self.unsent += 1
        except OSError as error:
            raise FlowGone(f"Nothing can be sent there: {error.strerror or error}") from error

    def close(self) -> None:
        """Stop reading and give the port back."""
        if self.open:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        receive, buffer, view = self._socket.recvfrom_into, self._buffer, self._view
        for _ in range(_AT_ONCE):
            try:
                size, peer = receive(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error for something sent before; what waits behind it is read in the next turn
                return
            self._received(DatagramFlow(self, Address(peer[0], peer[1])), bytes(view[:size]))


@lru_cache(maxsize=1024)
def _reachable(bound: str, peer: str, family: socket.AddressFamily) -> str:
    """Return our address on the way to a peer, where the socket is bound to all of them: the kernel knows its routes."""
    if bound not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return bound
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((peer, 9))  # sends nothing
        except OSError:
            return bound
        host: str = asked.getsockname()[0]
        return host
