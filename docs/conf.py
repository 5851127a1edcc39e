"""Sphinx settings for `make docs`."""

from __future__ import annotations

project = "Wakeline"
author = "the Wakeline maintainers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Wakeline"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]
