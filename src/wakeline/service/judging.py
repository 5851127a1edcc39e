"""Credential files are judged in a process of their own, since a file decides how long it takes to be read.

A PKCS#12 file names the iterations of its key derivation, and a private key its own length: sixteen kilobytes can ask for
minutes inside OpenSSL, where nothing can interrupt it and the whole gateway would wait. What a file costs ends with the
process here. File, password and verdict travel through pipes; nothing of them is in an argument or on a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys

import msgspec

from wakeline.config.keys import PREFIX
from wakeline.model.errors import Overloaded
from wakeline.wire.credential_file import Expectation, Inspection, inspect

_SECONDS = 10.0
_MOST_MEMORY = 1 << 30
_AT_ONCE = 2

_BEYOND_MEASURE = Inspection.refused(
    "The file takes too long to read: its key is far longer than any that works, or its encryption asks for far too many "
    "rounds. Export or download it again."
)


class _Question(msgspec.Struct, frozen=True):
    data: bytes
    expectation: Expectation


class Judge:
    """Judges files apart; `seconds` is how long one may take."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def inspect(self, data: bytes, expectation: Expectation) -> Inspection:
        """Judge a file as `wire.credential_file.inspect` does. Raises Overloaded if no process can be started."""
        question = msgspec.msgpack.encode(_Question(data, expectation))
        async with self._turns:
            answer = await self._ask(question)
        return msgspec.msgpack.decode(answer, type=Inspection) if answer else _BEYOND_MEASURE

    async def _ask(self, question: bytes) -> bytes:
        """Return what the process says; nothing if it took too long, or died of what it read."""
        command = (sys.executable, "-P", "-m", __name__)
        # The master key may be a variable; a process that reads strangers' files has no use for it.
        variables = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=nothing, env=variables
            )
        except OSError as error:
            raise Overloaded(f"The file cannot be judged now: {error.strerror}", fix="Try again.") from None
        try:
            async with asyncio.timeout(self._seconds):
                answer, _ = await process.communicate(question)
        except TimeoutError:
            return b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
        return answer if process.returncode == 0 else b""


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the key
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Question)
    sys.stdout.buffer.write(msgspec.msgpack.encode(inspect(question.data, question.expectation)))


if __name__ == "__main__":
    _main()
