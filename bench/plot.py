"""Line plots as SVG, without a library: medians joined by a line, a bar from the least to the most, a legend.

The y axis begins at nought, so that heights may be compared. Colours are told apart by people who see few of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from statistics import median

from bench.report import Plot

WIDTH, HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 180, 40, 56
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_THOUSAND = 1000

Scale = Callable[[float], float]


def svg(plot: Plot) -> str:
    """The plot as a file."""
    points = [point for line in plot.lines for point in line.points]
    places = sorted({point.x for point in points})
    marks = _marks(max(value for point in points for value in point.values))
    across, up = _across(places, logarithmic=plot.logarithmic), _up(marks[-1])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(plot.name)}</text>',
        *_axes(plot, places, marks, across, up),
    ]
    for number, line in enumerate(plot.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{across(point.x):.1f},{up(median(point.values)):.1f}" for point in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in line.points:
            x = across(point.x)
            low, high = up(min(point.values)), up(max(point.values))
            parts += [
                f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="{colour}"/>',
                f'<circle cx="{x:.1f}" cy="{up(median(point.values)):.1f}" r="3.5" fill="{colour}"/>',
            ]
        y = _TOP + 8 + number * 20
        parts += [
            f'<rect x="{WIDTH - _RIGHT + 16}" y="{y - 9}" width="10" height="10" fill="{colour}"/>',
            f'<text x="{WIDTH - _RIGHT + 32}" y="{y}">{escape(line.program)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(plot: Plot, places: list[float], marks: list[float], across: Scale, up: Scale) -> list[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = []
    for mark in marks:
        y = up(mark)
        parts += [
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#dddddd"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(mark)}</text>',
        ]
    parts += [
        f'<text x="{across(place):.1f}" y="{bottom + 18}" text-anchor="middle">{_short(place)}</text>'
        for place in places
    ]
    middle = (_TOP + bottom) / 2
    return [
        *parts,
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#333333"/>',
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 40}" text-anchor="middle">{escape(plot.x)}</text>',
        f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{escape(plot.y)}</text>',
    ]


def _across(places: list[float], *, logarithmic: bool) -> Scale:
    """Where an x stands; logarithms only of what is over nought."""
    turn: Scale = math.log if logarithmic else float
    low, high = turn(places[0]), turn(places[-1])
    width = WIDTH - _LEFT - _RIGHT - 40
    if low == high:
        return lambda _: _LEFT + 20 + width / 2
    return lambda x: _LEFT + 20 + width * (turn(x) - low) / (high - low)


def _up(most: float) -> Scale:
    height = HEIGHT - _TOP - _BOTTOM
    return lambda y: HEIGHT - _BOTTOM - height * y / most


def _marks(most: float) -> list[float]:
    """Round values from nought to just over `most`: four to nine of them."""
    if most <= 0:
        return [0.0, 1.0]
    size = 10.0 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 8)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _short(value: float) -> str:
    """A number as short as it can be told: 250k, 1M, 0.5."""
    for size, letter in ((_THOUSAND**2, "M"), (_THOUSAND, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
