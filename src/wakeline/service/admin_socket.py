"""The administrator's door: `data_dir/wakeline.sock`, mode 0600, open to our own user and to root only.

The kernel says who connects (SO_PEERCRED, unix(7)); the file's mode alone would trust whoever inherited a descriptor.
A socket's address holds 107 bytes; a longer path is reached through a descriptor of its directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from wakeline.model.errors import ConnectFailed

NAME = "wakeline.sock"
_ADDRESS_BYTES = 107
_CREDENTIALS = struct.Struct("3i")
_PRIVATE = 0o177


@contextlib.contextmanager
def address_of(directory: Path) -> Iterator[str]:
    """Give an address under which the socket in `directory` can be bound or reached, however long its path is."""
    path = str(directory / NAME)
    if len(os.fsencode(path)) <= _ADDRESS_BYTES:
        yield path
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def listen(directory: Path) -> socket.socket:
    """Bind the socket in `directory`; one left by a killed process goes first (whoever holds the store's lock may).

    Raises ConnectFailed where no socket can be made.
    """
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_PRIVATE)
    try:
        remove(directory)
        with address_of(directory) as address:
            door.bind(address)
    except OSError as error:
        door.close()
        raise ConnectFailed(
            f"Cannot listen on {directory / NAME}: {error.strerror or error}",
            fix="Give the data directory to the user that the gateway runs as, on a file system that knows sockets.",
        ) from None
    finally:
        os.umask(before)
    door.listen()
    door.setblocking(False)
    return door


def remove(directory: Path) -> None:
    """Take the socket away."""
    (directory / NAME).unlink(missing_ok=True)


def is_trusted(descriptor: int) -> bool:
    """Tell whether the peer of a connected socket runs as our user or as root."""
    duplicate = socket.socket(fileno=os.dup(descriptor))
    with duplicate:
        raw = duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    return user in {os.geteuid(), 0}


async def answers(directory: Path) -> bool:
    """Tell whether somebody listens on the socket in `directory`."""
    if not (directory / NAME).exists():
        return False
    with address_of(directory) as address:
        try:
            _, writer = await asyncio.open_unix_connection(address)
        except OSError:
            return False
    writer.close()
    return True
