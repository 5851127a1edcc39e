"""Draws every page that is made from the code, after a change of operations, commands, settings, metrics or states: `make draw`.

Tests compare the committed pages with what this writes.
"""

from __future__ import annotations

from pathlib import Path

import draw_api
import draw_states

from wakeline.cli import reference as commands
from wakeline.config import reference as configuration
from wakeline.edges.rest.webhooks import meanings
from wakeline.observe import metrics

HERE = Path(__file__).parent


def pages() -> dict[Path, str]:
    """Return every page by its file."""
    return {
        HERE.parent / "wakeline.toml.example": configuration.example(),
        HERE / "reference/configuration.md": configuration.page(),
        HERE / "reference/cli.md": commands.page(),
        HERE / "reference/metrics.md": metrics.page(),
        HERE / "reference/events.md": meanings.page(),
        draw_states.PAGE: draw_states.page(),
        **draw_api.pages(),
    }


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
