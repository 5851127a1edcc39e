"""Logs: structlog to stderr, one JSON object a line for machines or coloured text for people, tokens masked.

Everything is rendered here, also what libraries say through `logging`, so that one format and one mask cover all.
Loggers are not cached: a reload that changes level or format is in force for the next line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import Processor

from wakeline.config.tree import Logs
from wakeline.observe.masking import mask
from wakeline.observe.names import LogEvent

_FIRST = ("timestamp", "level", "event")
_LIBRARIES_FROM = logging.WARNING
"""Libraries speak of themselves; below a warning nobody asked them."""
_REQUESTS = "uvicorn.access"
"""uvicorn's logger of requests: its records bear (client, method, path, HTTP version, status)."""


def configure(settings: Logs, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (standard error) as the settings say; may be called again at any time."""
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    console = settings.format == "console" or (settings.format == "auto" and out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask,
            *_renderers(console=console, colors=out.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(level)
    requests = logging.getLogger(_REQUESTS)
    requests.setLevel(logging.INFO if settings.access else _LIBRARIES_FROM)
    requests.propagate = settings.access


def _renderers(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=colors)
        return [lambda logger, method, line: _printable(renderer(logger, method, line))]
    return [_in_order, structlog.processors.JSONRenderer(serializer=_to_json)]


def _in_order(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what every line has in front."""
    return {name: line.pop(name) for name in _FIRST if name in line} | dict(line)


def _to_json(line: Any, **_: Any) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=str).decode()
    except UnicodeEncodeError:
        text = json.dumps(line, default=str, ensure_ascii=False, separators=(",", ":"))
        return _printable(text)


def _printable(line: str) -> str:
    """Put a mark in the place of what a peer said in no known encoding: a line must not fail because of what it tells of."""
    return line.encode("utf-8", "replace").decode()


class _Library(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the standard library's logging."""
        if record.name == _REQUESTS and isinstance(record.args, tuple):
            client, method, path, _, status = record.args
            line = {"client": client, "method": method, "path": path, "status": status}
            structlog.get_logger().info(LogEvent.REQUEST.value, **line)
            return
        structlog.get_logger().log(
            record.levelno,
            LogEvent.LIBRARY.value,
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def _adopt_libraries(level: int) -> None:
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, _Library)]:
        root.removeHandler(handler)
    root.addHandler(_Library())
    root.setLevel(max(level, _LIBRARIES_FROM))
