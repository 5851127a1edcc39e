"""Compiled templates and expressions: judged once, remembered by their text, rendered within their bounds.

Whatever goes wrong is an InvalidRequest that says what and in which line: when a rule is made it is an answer to the operator,
when it is applied the cause of a failed event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec
from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, nodes

from wakeline.connectors.bitrix24.rules.sandbox import RESULT, Sandbox, names
from wakeline.model.errors import InvalidRequest

VARIABLES = frozenset(
    {
        "event",
        "data",
        "record",
        "deal",
        "lead",
        "contact",
        "activity",
        "task",
        "call",
        "before",
        "user",
        "responsible",
        "portal",
    }
)
"""Names that templates may use."""

Compile = Callable[[str], "Compiled"]

_REMEMBERED = 1_024
"""Texts of templates; a rule has five or ten, and takes none of them from here again once it is ready."""

_sandbox = Sandbox()


class Compiled(msgspec.Struct, frozen=True):
    """A template or an expression that is ready; `uses` are the variables that it reads."""

    template: Template
    uses: frozenset[str]

    def text(self, variables: Mapping[str, object], most: int) -> str:
        """Return what it makes, at most so many characters; the rest is not even made. Raises InvalidRequest."""
        context = self.template.new_context(dict(variables))
        pieces: list[str] = []
        length = 0
        try:
            for piece in self.template.root_render_func(context):
                pieces.append(piece)
                length += len(piece)
                if length > most:
                    break
        except Exception as error:
            raise _failed(error) from error
        # Half a character can be named in JSON, and sent nowhere.
        return "".join(pieces).strip()[:most].encode("utf-8", "replace").decode()

    def value(self, variables: Mapping[str, object]) -> object:
        """Return what an expression yields. Raises InvalidRequest."""
        context = self.template.new_context(dict(variables))
        try:
            for _ in self.template.root_render_func(context):
                """It writes nothing; it sets a variable."""
            found = context.vars[RESULT]
            # One that is not there says so when it is made a text.
            return str(found) if isinstance(found, Undefined) else found
        except Exception as error:
            raise _failed(error) from error


@lru_cache(_REMEMBERED)
def template(source: str) -> Compiled:
    """Return a compiled template. Raises InvalidRequest."""
    try:
        return _compiled(_sandbox.template(source))
    except (TemplateError, RecursionError, ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise _refused(error) from error


@lru_cache(_REMEMBERED)
def expression(source: str) -> Compiled:
    """Return a compiled expression. Raises InvalidRequest."""
    try:
        return _compiled(_sandbox.expression(source))
    except (TemplateError, RecursionError, ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise _refused(error) from error


def _compiled(tree: nodes.Template) -> Compiled:
    read, written = names(tree)
    unknown = sorted(read - written - VARIABLES - {"loop"})
    if unknown:
        raise TemplateSyntaxError(f"there is no {unknown[0]:.60}; there are {', '.join(sorted(VARIABLES))}", 1)
    return Compiled(_sandbox.from_string(tree), read & VARIABLES)


def _refused(error: Exception) -> InvalidRequest:
    """Return the refusal of a text that cannot be compiled."""
    if isinstance(error, TemplateSyntaxError):
        return InvalidRequest(f"line {error.lineno}: {error.message}", fix=_FIX)
    if isinstance(error, RecursionError | MemoryError):
        return InvalidRequest("the template is too deeply nested", fix=_FIX)
    return InvalidRequest(f"{error}", fix=_FIX)


_FIX = "`wakeline bitrix24 rule try` shows what a rule makes of an event."


def _failed(error: Exception) -> InvalidRequest:
    """Return what went wrong while a template was worked out."""
    known = isinstance(error, TemplateError | TypeError | ValueError | OverflowError)
    said = str(error) if known else f"{type(error).__name__}: {error}"
    if "not supported between" in said:
        said += "; record.OPPORTUNITY|float makes a number of a text"
    return InvalidRequest(said[:300] or type(error).__name__, fix=_FIX)
