"""Charts as inline SVG: enough for lines, steps, bars and whiskers on linear or log axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

Points = Sequence[tuple[float, float]]

_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 14, 16, 46


@dataclass(frozen=True, slots=True)
class Axis:
    """A labelled range; `ticks` are values with the text beside them."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def fraction(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1; values beyond are held at the ends."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        return (here - low) / (high - low)


@dataclass(slots=True)
class Chart:
    """One chart under construction; `text` says to a screen reader what it shows."""

    text: str
    x: Axis
    y: Axis
    width: int = 560
    height: int = 340
    _parts: list[str] = field(default_factory=list)

    def line(self, points: Points, css: str) -> None:
        """A polyline."""
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        self._parts.append(f'<polyline class="{css}" points="{path}"/>')

    def steps(self, points: Points, css: str) -> None:
        """A step function: each value holds until the next point."""
        path: list[tuple[float, float]] = []
        for (x, y), (after, _) in pairwise(points):
            path += [(x, y), (after, y)]
        self.line([*path, points[-1]], css)

    def area(self, points: Points, css: str) -> None:
        """The area between a polyline and the bottom."""
        closed = [(points[0][0], self.y.low), *points, (points[-1][0], self.y.low)]
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in closed)
        self._parts.append(f'<polygon class="{css}" points="{path}"/>')

    def whisker(self, x: float, y: float, low: float, high: float, css: str) -> None:
        """A point with its vertical interval."""
        at = self._x(x)
        self._parts.append(
            f'<line class="{css}" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{self._y(low):.1f}" y2="{self._y(high):.1f}"/>'
            f'<circle class="{css}" cx="{at:.1f}" cy="{self._y(y):.1f}" r="3"/>'
        )

    def marker(self, x: float, label: str) -> None:
        """A vertical line with a label at its top."""
        at = self._x(x)
        self._parts.append(
            f'<line class="marker" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" '
            f'y2="{self.height - _BOTTOM}"/>'
            f'<text class="marker" transform="translate({at + 4:.1f} {_TOP + 4}) rotate(90)">'
            f"{escape(label)}</text>"
        )

    def svg(self) -> str:
        """The finished chart."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.text)}">'
            + "".join([*self._grid(), *self._parts, *self._labels()])
            + "</svg>"
        )

    def _grid(self) -> list[str]:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for value, text in self.x.ticks:
            at = f"{self._x(value):.1f}"
            parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{bottom}"/>')
            parts.append(
                f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">'
                f"{escape(text)}</text>"
            )
        for value, text in self.y.ticks:
            at = f"{self._y(value):.1f}"
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
            parts.append(
                f'<text class="tick" x="{_LEFT - 6}" y="{at}" dy="4" text-anchor="end">'
                f"{escape(text)}</text>"
            )
        return parts

    def _labels(self) -> list[str]:
        middle_x = (_LEFT + self.width - _RIGHT) / 2
        middle_y = (_TOP + self.height - _BOTTOM) / 2
        return [
            f'<text class="label" x="{middle_x:.0f}" y="{self.height - 8}" text-anchor="middle">'
            f"{escape(self.x.label)}</text>",
            f'<text class="label" transform="translate(14 {middle_y:.0f}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.label)}</text>',
        ]

    def _x(self, value: float) -> float:
        return _LEFT + self.x.fraction(value) * (self.width - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return self.height - _BOTTOM - self.y.fraction(value) * (self.height - _TOP - _BOTTOM)


def decades(low: int, high: int) -> list[tuple[float, str]]:
    """Ticks of a log axis from 10^low to 10^high."""
    return [(10.0**power, f"1e{power}" if power else "1") for power in range(low, high + 1)]


def percents(highest: float) -> list[tuple[float, str]]:
    """Ticks of a linear axis of fractions from 0 up, written as percentages."""
    step = next(s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if highest / s <= 7)
    return [(step * n, f"{100 * step * n:g}%") for n in range(int(highest / step + 1e-9) + 1)]
