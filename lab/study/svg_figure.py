"""Lines on two logarithmic axes as SVG, for documents: the same numbers give the same bytes."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from lab.study.colours import style

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 460, 64, 16, 52
LEGEND = 220  # pixels on the right
MARKS = {
    "circle": '<circle r="3.5"/>',
    "square": '<rect x="-3.2" y="-3.2" width="6.4" height="6.4"/>',
    "diamond": '<path d="M0,-4.6L4.6,0L0,4.6L-4.6,0Z"/>',
}
Series = Mapping[str, Sequence[tuple[float, float]]]


class Guide(NamedTuple):
    """A dashed line: through `start`, falling like x to the `power`; 0 is level."""

    label: str
    start: tuple[float, float]
    power: float = 0.0


def log_figure(
    series: Series, x_label: str, y_label: str, *, guides: Sequence[Guide] = (), title: str = ""
) -> str:
    """Draw points (x, y), both above 0, of each sampler as a line; what is not above 0 is left out.

    ValueError where there is nothing to draw.
    """
    lines = {
        name: [(x, y) for x, y in points if x > 0 and y > 0 and math.isfinite(y)]
        for name, points in series.items()
    }
    lines = {name: sorted(points) for name, points in lines.items() if points}
    if not lines:
        raise ValueError("a figure needs at least one point above 0 on both axes")
    every = [point for points in lines.values() for point in points]
    across = _Axis([x for x, _ in every], LEFT, WIDTH - LEGEND)
    up = _Axis([y for _, y in every] + [g.start[1] for g in guides], HEIGHT - BOTTOM, TOP)
    parts = [*_axes(across, up, x_label, y_label), *_guides(guides, across, up)]
    apart = min(20, (HEIGHT - TOP - 24) / len(lines))
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(name, points, across, up, round(TOP + 12 + apart * number, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img">'
        f"<title>{escape(title or y_label)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


class _Axis:
    """Numbers to pixels, logarithmically, with room at both ends."""

    def __init__(self, values: Sequence[float], start: float, stop: float):
        self.low, self.high = min(values) / 1.2, max(values) * 1.2
        self.start, self.stop = start, stop

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self) -> list[float]:
        """Powers of 2 from 1 on, else of 10, and 2 and 5 times these where they are few."""
        if self.high / self.low < 2000 and self.low >= 0.5:
            powers = range(math.ceil(math.log2(self.low)), math.floor(math.log2(self.high)) + 1)
            return [2.0**power for power in powers]
        steps = (1, 2, 5) if self.high / self.low < 1000 else (1,)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        ticks = [step * 10.0**power for power in powers for step in steps]
        return [tick for tick in ticks if self.low <= tick <= self.high]


def _axes(across: _Axis, up: _Axis, x_label: str, y_label: str) -> list[str]:
    bottom, right, middle = HEIGHT - BOTTOM, WIDTH - LEGEND, (HEIGHT - BOTTOM + TOP) / 2
    parts = []
    for value in up.ticks():
        y = up.at(value)
        parts.append(f'<path d="M{LEFT},{y}H{right}" stroke="#e5e7eb"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
    for value in across.ticks():
        x = across.at(value)
        parts.append(f'<path d="M{x},{bottom}v4" stroke="#9ca3af"/>')
        parts.append(_text(x, bottom + 17, f"{value:g}", "middle"))
    parts.append(f'<path d="M{LEFT},{TOP}V{bottom}H{right}" stroke="#9ca3af" fill="none"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 14, x_label, "middle"))
    turn = f' transform="translate(14,{middle:.0f}) rotate(-90)"'
    return [*parts, f'<text{turn} text-anchor="middle" fill="#374151">{escape(y_label)}</text>']


def _guides(guides: Sequence[Guide], across: _Axis, up: _Axis) -> list[str]:
    parts = []
    for guide in guides:
        x, y = guide.start
        x = max(x, across.low)
        stop = across.high / 1.1
        end = y * (stop / x) ** guide.power
        if end < up.low:  # the line leaves the picture below
            stop, end = x * (up.low / y) ** (1 / guide.power), up.low
        ends = f"M{across.at(x)},{up.at(y)}L{across.at(stop)},{up.at(end)}"
        parts.append(f'<path d="{ends}" stroke="#6b7280" stroke-dasharray="5 4" fill="none"/>')
        # A level line is named above its beginning: at its end the legend stands.
        right, height, below = (stop, end, 4) if guide.power else (x, y, -6)
        parts.append(_text(across.at(right) + 4, up.at(height) + below, guide.label, "start"))
    return parts


def _line(
    name: str, points: Sequence[tuple[float, float]], across: _Axis, up: _Axis, y: float
) -> list[str]:
    colour, mark = style(name)
    places = [(across.at(a), up.at(b)) for a, b in points]
    path = "L".join(f"{a},{b}" for a, b in places)
    legend = (WIDTH - LEGEND + 80, y)
    marks = [f'<g transform="translate({a},{b})">{MARKS[mark]}</g>' for a, b in [*places, legend]]
    return [
        f'<g fill="{colour}" stroke="{colour}"><path d="M{path}" fill="none" stroke-width="1.5"/>'
        f"{''.join(marks)}</g>",
        _text(legend[0] + 12, y + 4, name, "start"),
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#374151">{escape(text)}</text>'
    )
