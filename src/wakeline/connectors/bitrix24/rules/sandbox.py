"""What a template may be made of, and how much it may cost.

reach    Names are the variables and what the template sets; a dot or a bracket looks into maps and lists, never at an attribute of
         a Python object; nothing can be called. So there is no way from a value to a class, a module or a file.
shape    The parsed template is walked before it is compiled: what is not in the list below is refused, and so is one that is
         long, or nested deeper than people write.
cost     A text that an operation makes is bounded, a number too, a list has no lists in it (a value doubled twenty times over is
         as large as a machine's memory). A loop pays for every round what its body costs, filters and comparisons for the length
         of what they are given; when the work is spent, the rendering ends.
         All of this counts, and nothing measures time: the same template on the same record always does the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from wakeline.connectors.bitrix24.rules import filters

SOURCE = 4_096
"""Characters of a template."""
NODES = 800
"""Parts that a template has when it is parsed; a long one that people write has a hundred."""
DEPTH = 30
"""How deep parts are in parts."""
WORK = 20_000
"""Parts that are worked out in one rendering; the work of filters and comparisons grows with what they are given."""
_PER_PART = 32
"""Characters or items that cost as much as a part."""

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Keyword,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Neg,
    nodes.Pos,
    nodes.Concat,
    nodes.List,
    nodes.Tuple,
    nodes.If,
    nodes.For,
    nodes.Assign,
)
_INSTEAD: dict[type[nodes.Node], str] = {
    nodes.Call: "nothing can be called here; there are filters: value|upper",
    nodes.Pow: "** is not available here",
    nodes.Dict: "maps cannot be made here",
}
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_COUNTED, _WEIGHED, _JOINED, _FLAT = "counted by a loop", "weighed", "joined", "a list"
"""Filters that stand in for parts of templates; nobody can write their names."""

RESULT = "result"


class Spending(Context):
    """The state of one rendering: what work is left."""

    work: int = WORK


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja, reduced to what the module's docstring says."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})
    intercepted_unops = frozenset({"+", "-"})
    context_class = Spending

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=filters.shown,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            cache_size=0,
        )
        self.globals.clear()
        offered: dict[str, Callable[..., Any]] = {
            **filters.FILTERS,
            _WEIGHED: lambda value: value,
            _JOINED: filters.joined,
            _FLAT: filters.flat,
        }
        self.filters = {name: _charged(answer) for name, answer in offered.items()} | {_COUNTED: _counted}
        self.tests = {**filters.TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look into a map; of other things only a loop has names."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look into a map by its key, into a list or a text by a place."""
        if isinstance(obj, Undefined):
            str(obj)
        if isinstance(obj, Mapping) and isinstance(argument, str):
            for name in (argument, _older(argument)):
                if name in obj:
                    return obj[name]
        if isinstance(obj, list | tuple | str) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(hint=_missing(obj, argument), obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Reckon with numbers; `+` also joins texts."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return filters.bounded(left + right)
        return super().call_binop(context, operator, _operand(operator, left), _operand(operator, right))

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """Reckon with numbers."""
        return super().call_unop(context, operator, _operand(operator, arg))

    # --- from a text to what can be compiled

    def template(self, source: str) -> nodes.Template:
        """Return a template, checked and made safe. Raises TemplateSyntaxError."""
        return self._checked(self.parse(_short(source)))

    def expression(self, source: str) -> nodes.Template:
        """Return an expression as a template that sets RESULT. Raises TemplateSyntaxError."""
        if "{{" in source or "{%" in source:
            raise TemplateSyntaxError("an expression is written without braces: record.ASSIGNED_BY_ID", 1)
        parser = Parser(self, _short(source), state="variable")
        parsed = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("something follows the expression", parser.stream.current.lineno)
        target = nodes.Name(RESULT, "store")
        return self._checked(nodes.Template([nodes.Assign(target, parsed, lineno=1)], lineno=1))

    def _checked(self, tree: nodes.Template) -> nodes.Template:
        count = 0
        waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
        while waiting:
            node, depth = waiting.pop()
            count += 1
            if count > NODES or depth > DEPTH:
                much = "many parts" if count > NODES else "deeply nested"
                raise TemplateSyntaxError(f"the template is too {much}", node.lineno or 1)
            self._check(node)
            waiting += [(child, depth + 1) for child in node.iter_child_nodes()]
        safe = _Bounding().visit(tree)
        assert isinstance(safe, nodes.Template)  # noqa: S101 - it is visited in place
        safe.set_environment(self)
        return safe

    def _check(self, node: nodes.Node) -> None:
        """Raise TemplateSyntaxError for a part that templates do not have here."""
        if type(node) not in _ALLOWED:
            why = _INSTEAD.get(type(node), f"{type(node).__name__} is not available here")
            raise TemplateSyntaxError(why, node.lineno or 1)
        match node:
            case nodes.Getattr(attr=name) if name.startswith("__"):
                # It would find nothing; whoever writes it is to know at once.
                raise TemplateSyntaxError(f"there is no {name:.60}", node.lineno)
            case nodes.Filter(name=name) if name not in filters.FILTERS:
                raise TemplateSyntaxError(f"there is no filter {name}", node.lineno)
            case nodes.Test(name=name) if name not in filters.TESTS:
                raise TemplateSyntaxError(f"there is no test {name}", node.lineno)
            case nodes.Filter() | nodes.Test() if node.dyn_args is not None or node.dyn_kwargs is not None:
                raise TemplateSyntaxError("* and ** are not available here", node.lineno)
            case nodes.For() if node.recursive or not isinstance(node.target, nodes.Name):
                raise TemplateSyntaxError("a loop has one variable, and is not recursive", node.lineno)
            case nodes.Assign() if not isinstance(node.target, nodes.Name):
                raise TemplateSyntaxError("one variable is set at a time", node.lineno)


def names(tree: nodes.Template) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a template reads, and those that it sets."""
    found = list(tree.find_all(nodes.Name))
    read = frozenset(name.name for name in found if name.ctx == "load")
    return read, frozenset(name.name for name in found if name.ctx != "load")


class _Bounding(NodeTransformer):
    """Puts bounded operations in place of those that are not."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        cost = sum(1 for _ in node.find_all(nodes.Node)) + 1
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNTED, nodes.Const(cost))
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _WEIGHED)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _WEIGHED)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            # Jinja has Python slice; of a number that would be a warning of the compiler.
            node.node = _filtered(node.node, _WEIGHED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _JOINED)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        self.generic_visit(node)
        return _filtered(node, _FLAT)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - Jinja finds it by the node's name
        self.generic_visit(node)
        return _filtered(nodes.List(node.items, lineno=node.lineno), _FLAT)


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)  # noqa: S101 - the parser puts nothing else into these places
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


@pass_context
def _counted(context: Spending, values: object, cost: int) -> Iterator[object]:
    """Yield what a loop goes through, as long as there is work left."""
    if isinstance(values, Undefined):
        str(values)
    if not isinstance(values, Iterable):
        raise TypeError(f"a loop goes through a list, and this is {filters.word(values)}")
    for value in values:
        _spend(context, cost)
        yield value


def _charged(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that is paid for."""

    @pass_context
    def charged(context: Spending, value: object, *args: object, **named: object) -> Any:
        _spend(context, 1 + len(value) // _PER_PART if isinstance(value, str | list) else 1)
        return answer(value, *args, **named)

    return charged


def _spend(context: Spending, cost: int) -> None:
    context.work -= cost
    if context.work < 0:
        raise OverflowError("it does too much work: shorter loops, fewer filters")


def _short(source: str) -> str:
    if len(source) > SOURCE:
        raise TemplateSyntaxError(f"the template has more than {SOURCE} characters", 1)
    return source


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _older(name: str) -> str:
    """Return the name under which a field is kept: newer methods of Bitrix24 write `responsibleId` for RESPONSIBLE_ID."""
    return _HUMP.sub("_", name).upper() if name[:1].islower() else name


def _missing(obj: object, argument: object) -> str:
    """Say what was looked for in vain."""
    wanted = f"{argument!s:.60}" if isinstance(argument, str | int) else filters.word(argument)
    return f"there is no {wanted} in {'what is none' if obj is None else filters.word(obj)}"


_LARGEST = 10**15


def _operand(operator: str, value: object) -> int | float:
    if isinstance(value, Undefined):
        str(value)
    if type(value) not in {int, float} or not isinstance(value, int | float):
        raise TypeError(
            f"{operator} needs numbers, and this is {filters.word(value)}: value|float makes a number of a text"
        )
    if abs(value) > _LARGEST:
        raise OverflowError(f"{operator} does not take numbers beyond {_LARGEST:.0e}")
    return value
