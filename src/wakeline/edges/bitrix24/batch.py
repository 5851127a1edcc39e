"""Method `batch`: up to 50 commands `method?query` in one request, in order, each able to use what earlier ones answered.

Rules (Bitrix24 REST, "Batch request"): the answer is 200 whatever becomes of the commands; five maps are always there, keyed as
`cmd` is; `halt` ends it after the first command that failed, and what was not reached is in no map. It is one request for the
rate limit; each command is charged to its own method.
"""

from __future__ import annotations

import msgspec

from wakeline.edges.bitrix24 import answers, reading, request
from wakeline.edges.bitrix24.call import MethodError, Params, Result, Value
from wakeline.edges.bitrix24.perform import Performed, Performer, Visit
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.errors import RemoteProtocolError
from wakeline.wire import php_form
from wakeline.wire.bitrix24 import references

NAME = "batch"
MOST = 50

_FORBIDDEN = frozenset({NAME, "download", "upload"})


class _Answers(msgspec.Struct):
    """What the commands answered, by their keys."""

    result: dict[str, Value] = {}
    error: dict[str, Value] = {}
    total: dict[str, Value] = {}
    next: dict[str, Value] = {}
    time: dict[str, Value] = {}

    def take(self, key: str, performed: Performed) -> None:
        """Keep what a command answered."""
        self.result[key] = performed.result.value
        if performed.result.total is not None:
            self.total[key] = performed.result.total
        if performed.result.next is not None:
            self.next[key] = performed.result.next
        self.time[key] = performed.time

    def known(self) -> references.Known:
        """Return what references may name."""
        return {
            "result": self.result,
            "next": self.next,
            "total": self.total,
            "time": self.time,
            "error": self.error,
        }

    def as_result(self) -> Result:
        """Return the five maps."""
        return Result(
            {
                "result": self.result,
                "result_error": self.error,
                "result_total": self.total,
                "result_next": self.next,
                "result_time": self.time,
            }
        )


async def run(performer: Performer, visit: Visit, params: Params) -> Result:
    """Perform the commands of a batch."""
    given = {name.lower(): value for name, value in params.items()}
    commands = {key: said for key, said in reading.tree(given, "cmd").items() if isinstance(said, str)}
    halt = reading.flag(given, "halt")
    found = _Answers()
    for place, (key, command) in enumerate(commands.items()):
        try:
            if place >= MOST:
                raise Refusal.BATCH_LENGTH.error()
            found.take(key, await _command(performer, visit, command, found.known()))
        except MethodError as error:
            found.error[key] = answers.refused(error)
            if halt:
                break
    return answers.shaped(found.as_result())


async def _command(performer: Performer, visit: Visit, command: str, known: references.Known) -> Performed:
    written, _, query = command.partition("?")
    name = request.method_name(written.strip().strip("/"))
    if name in _FORBIDDEN:
        raise Refusal.BATCH_METHOD.error()
    method = performer.method(name)
    if not method.batch:
        raise Refusal.BATCH_METHOD.error()
    asked = request.asked(request.Address(method=name), _params(query, known))
    return await performer.perform(visit, method, asked.params, asked.start)


def _params(query: str, known: references.Known) -> Params:
    try:
        return reading.mapped(references.resolve(php_form.parse(query), known))
    except RemoteProtocolError as error:
        raise Refusal.REQUEST.error(error.detail) from None
