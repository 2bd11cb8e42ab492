"""Charts whose dots say what they are when the pointer is on them: SVG of a few kilobytes inside the page.

A plotting library would be megabytes of script in every page; a dot with a title needs none, follows the page's
colours in light and dark, and cannot run anything.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

LEFT, RIGHT, TOP, BOTTOM = 58, 14, 28, 44
"""Room around the axes, in the units of the viewBox."""


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    said: str
    """What hovering shows."""
    strength: float = 1.0
    """0..1, its opacity."""
    hollow: bool = False


@dataclass(frozen=True)
class Chart:
    """Dots over two linear axes."""

    title: str
    x: str
    y: str
    """Names of the axes."""
    dots: Sequence[Dot]
    lines: Sequence[tuple[float, float, float, float]] = ()
    """x and y of one end, then of the other."""
    guides: Sequence[tuple[float, float, float, float]] = ()
    """The same, dashed: what is expected."""
    band: tuple[float, float] | None = None
    """y from and to, coloured."""
    marks: Sequence[tuple[float, str]] = ()
    """x of what has no y, and why: strokes at the foot."""
    square: bool = False

    def to_svg(self) -> str:
        width, height = (340, 340) if self.square else (560, 300)
        segments = [*self.lines, *self.guides]
        xs = [dot.x for dot in self.dots] + [x for a in segments for x in a[::2]] + [x for x, _ in self.marks]
        ys = [dot.y for dot in self.dots] + [y for a in segments for y in a[1::2]] + list(self.band or ())
        (left, right), (low, high) = _span(xs), _span(ys)

        def across(x: float) -> str:
            return f"{LEFT + (x - left) / (right - left) * (width - LEFT - RIGHT):.1f}"

        def up(y: float) -> str:
            return f"{height - BOTTOM - (y - low) / (high - low) * (height - TOP - BOTTOM):.1f}"

        def segment(ends: Sequence[float], kind: str) -> str:
            x1, y1, x2, y2 = ends
            return f'<line class="{kind}" x1="{across(x1)}" y1="{up(y1)}" x2="{across(x2)}" y2="{up(y2)}"/>'

        parts = [f'<text class="title" x="{LEFT}" y="16">{html.escape(self.title)}</text>']
        if self.band:
            top, foot = up(max(self.band)), up(min(self.band))
            size = f'width="{width - LEFT - RIGHT}" height="{float(foot) - float(top):.1f}"'
            parts.append(f'<rect class="band" x="{LEFT}" y="{top}" {size}/>')
        for value in _ticks(low, high):
            parts.append(segment((left, value, right, value), "grid"))
            parts.append(f'<text x="{LEFT - 6}" y="{float(up(value)) + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in _ticks(left, right):
            parts.append(f'<text x="{across(value)}" y="{height - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
        middle, centre = (width + LEFT - RIGHT) / 2, (height + TOP - BOTTOM) / 2
        parts.append(f'<text x="{middle}" y="{height - 8}" text-anchor="middle">{html.escape(self.x)}</text>')
        turned = f'transform="rotate(-90 13 {centre})"'
        parts.append(f'<text x="13" y="{centre}" {turned} text-anchor="middle">{html.escape(self.y)}</text>')
        parts += [segment(ends, "guide") for ends in self.guides] + [segment(ends, "line") for ends in self.lines]
        for x, why in self.marks:
            foot = f'x1="{across(x)}" x2="{across(x)}" y1="{height - BOTTOM - 9}" y2="{height - BOTTOM}"'
            parts.append(f'<line class="mark" {foot}><title>{html.escape(why)}</title></line>')
        for dot in self.dots:
            look = f'class="dot{" hollow" * dot.hollow}" opacity="{dot.strength:.2f}"'
            place = f'cx="{across(dot.x)}" cy="{up(dot.y)}" r="3.5"'
            parts.append(f"<circle {look} {place}><title>{html.escape(dot.said)}</title></circle>")
        label = html.escape(f"{self.title}: {self.y} over {self.x}", quote=True)
        shape = f'class="chart{" square" * self.square}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}"'
        return f"<svg {shape}>{''.join(parts)}</svg>"


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis: all values and some room."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(value) for value in ticks if low <= value <= high]
