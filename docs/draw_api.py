"""Writes docs/reference/rest.md and docs/problems from the table of operations and the error tree; tests compare them."""

from __future__ import annotations

from pathlib import Path

from wakeline.edges.rest import OPERATIONS, problem_pages, reference

HERE = Path(__file__).parent


def pages() -> dict[Path, str]:
    """Return every page by its file."""
    problems = HERE / "problems"
    return {
        HERE / "reference" / "rest.md": reference.markdown(OPERATIONS),
        problems / "index.md": problem_pages.index(),
        **{problems / f"{code}.md": problem_pages.markdown(code) for code in problem_pages.PAGES},
    }


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)
