"""`python -m bench.scale [--write]`: the tables of docs/scale.md from report.json; `--write` puts them into the page."""

from __future__ import annotations

import argparse

from bench import report
from bench.scale import measured, page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into docs/scale.md")
    write = parser.parse_args().write
    found = report.read(report.HERE / "report.json")
    if write:
        print(page.write(found))
        return
    for name, text in page.tables(measured.of(found)).items():
        print(f"{name}\n\n{text}\n")


if __name__ == "__main__":
    main()
