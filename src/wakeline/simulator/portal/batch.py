"""`batch`: up to 50 calls in one, of which later ones may refer to what earlier ones answered.

Bitrix24: "batch". `$result[key][path]` in a command's values is looked up by command and path; a segment that is not there
ends the search, and what was reached by then takes the reference's place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wakeline.simulator.portal.call import Found
from wakeline.simulator.portal.php import Tree, flag, parse_form, tree
from wakeline.simulator.portal.refusal import Refusal

LONGEST = 50
_NOT_IN_BATCH = ("batch", "download", "upload")
_REFERENCE = re.compile(r"\$(result|next|total|time|error)((?:\[[^\]]+\])+)")

Perform = Callable[[str, Tree], Found]


def batched(params: Tree, perform: Perform, times: Callable[[], Tree]) -> Found:
    """Performs the commands of `cmd` in their order; `times` is the time block of one."""
    answers: dict[str, Tree] = {"result": {}, "error": {}, "total": {}, "next": {}, "time": {}}
    for place, (key, command) in enumerate(tree(params.get("cmd")).items()):
        if not isinstance(command, str):
            continue
        try:
            found = _performed(command, perform, answers, too_many=place >= LONGEST)
        except Refusal as refusal:
            answers["error"][key] = refusal.document()
            if flag(params.get("halt")):
                break
            continue
        answers["result"][key] = found.value
        answers["time"][key] = times()
        for name, number in (("total", found.total), ("next", found.next)):
            if number is not None:
                answers[name][key] = number
    return Found({"result" if name == "result" else f"result_{name}": values for name, values in answers.items()})


def _performed(command: str, perform: Perform, answers: dict[str, Tree], *, too_many: bool) -> Found:
    if too_many:
        raise Refusal(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
    method, _, query = command.partition("?")
    if method.lower() in _NOT_IN_BATCH:
        raise Refusal(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
    return perform(method, tree(resolved(parse_form(query), answers)))


def resolved(value: object, answers: dict[str, Tree]) -> object:
    """`value` with its references replaced; a text that is nothing but one becomes what it refers to, of any type."""
    if isinstance(value, dict):
        return {key: resolved(one, answers) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return _looked_up(whole, answers)

    def spoken(found: re.Match[str]) -> str:
        reached = _looked_up(found, answers)
        return str(reached) if isinstance(reached, str | int | float) else found[0]

    return _REFERENCE.sub(spoken, value)


def _looked_up(found: re.Match[str], answers: dict[str, Tree]) -> object:
    reached: object = answers[found[1]]
    for segment in re.findall(r"\[([^\]]+)\]", found[2]):
        inner = tree(reached) if isinstance(reached, dict | list) else {}
        if segment not in inner:
            break
        reached = inner[segment]
    return reached
