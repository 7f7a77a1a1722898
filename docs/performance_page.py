"""What docs/performance.md prints from docs/bench/*.csv, which docs/measure.py writes."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from typing import NamedTuple

import pandas as pd

from docs.measure import FOLDER, RUNS
from lab.bench.cost_table import one_machine, readable
from lab.study.colours import style
from samplers import SAMPLERS

NOTHING = "Not measured yet: `make bench`."
FEW = ("llada2", "llada", "threshold", "dream")  # whose goal is the strictest


@cache
def result(name: str) -> pd.DataFrame:
    """The lines of one measurement; none where it was not made."""
    file = FOLDER / f"{name}.csv"
    return pd.read_csv(file, keep_default_na=False, na_values=["nan"]) if file.exists() else (
        pd.DataFrame()
    )  # fmt: skip


class Goal(NamedTuple):
    """What is wanted of a number of one measurement: at most, or at least, so much."""

    text: str
    name: str
    column: str
    most: float = math.inf
    least: float = -math.inf
    where: Callable[[pd.DataFrame], pd.Series] = lambda lines: lines.index >= 0

    def reached(self) -> tuple[str, str]:
        """The worst number, and whether it is good enough."""
        lines = result(self.name)
        lines = lines[self.where(lines)] if len(lines) else lines
        if not len(lines) or lines[self.column].isna().all():
            return "", ""
        upper = self.most < math.inf
        worst = lines.loc[lines[self.column].astype(float).idxmax() if upper else
                          lines[self.column].astype(float).idxmin()]  # fmt: skip
        value = float(worst[self.column])
        of = f" ({worst['sampler']})" if "sampler" in lines and len(lines) > 1 else ""
        return f"{value:.2f}{of}", "yes" if self.least <= value <= self.most else "no"


def _of(column: str, value: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda lines: lines[column] == value


GOALS = (
    Goal(f"sampling / calls alone, T = 0, {', '.join(FEW)}", "stories-greedy", "sampling", 1.03,
         where=lambda lines: lines["sampler"].isin(FEW)),
    Goal("the same on the decoder of 9 million weights", "decoder-greedy", "sampling", 1.03,
         where=lambda lines: lines["sampler"].isin(FEW)),
    Goal("sampling / calls alone, T = 0, every sampler", "stories-greedy", "sampling", 1.06,
         where=lambda lines: lines["model"].str.startswith("stories")),
    Goal("the same on the decoder", "decoder-greedy", "sampling", 1.06),
    Goal("T = 1, 4,096 tokens", "stories-drawn", "sampling", 1.06,
         where=lambda lines: lines["model"].str.startswith("stories")),
    Goal("T = 1, 32,768 tokens", "wide-drawn", "sampling", 1.08),
    Goal("recording / calls alone", "stories-greedy", "recording", 1.10,
         where=lambda lines: lines["model"].str.startswith("stories")),
    Goal("the same on the decoder", "decoder-greedy", "recording", 1.10),
    Goal("diffusers / llada2, prompt 32, 128 tokens", "diffusers", "peer", least=2.2),
    Goal("diffusers / llada2, prompt 256, 256 tokens", "diffusers-long", "peer", least=5.5),
    Goal("diffusers' step / ours, 157,184 tokens, greedy", "draws", "diffusers_over_ours",
         least=8, where=_of("setting", "greedy")),
    Goal("the same at T = 1", "draws", "diffusers_over_ours", least=8,
         where=_of("setting", "temperature 1")),
    Goal("the same with top-p 0.9", "draws", "diffusers_over_ours", least=15,
         where=_of("setting", "temperature 1, top-p 0.9")),
    Goal("a call / hand-written torch", "calls", "over_handwritten", 1.05),
    Goal("four panels in the page / the four alone", "panels", "page_over_alone", 0.65),
    Goal("import lab, seconds", "starts", "seconds", 0.3, where=_of("start", "import lab")),
    Goal("python -m lab --help, seconds", "starts", "seconds", 0.5,
         where=_of("start", "python -m lab --help")),
    Goal("first page, seconds", "starts", "seconds", 4.0,
         where=_of("start", "python app.py, first page")),
)  # fmt: skip


def goals() -> str:
    """One line a goal: the number to reach, the worst one measured, whether it is good enough."""
    lines = [("", "goal", "measured", "reached")]
    for goal in GOALS:
        goal_text = f"at most {goal.most:g}" if goal.most < math.inf else f"at least {goal.least:g}"
        lines.append((goal.text, goal_text, *goal.reached()))
    return table(lines)


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; the first line is its head."""
    head, *body = (tuple(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *body))


COLUMNS = {
    "stories, T = 0": "stories-greedy",
    "stories, T = 1": "stories-drawn",
    "decoder, T = 0": "decoder-greedy",
    "32,768 tokens, T = 1": "wide-drawn",
}


def by_sampler() -> str:
    """One line a sampler: sampling and recording over the calls alone, in each setting."""
    if not any(len(result(name)) for name in COLUMNS.values()):
        return NOTHING
    lines: list[tuple[str, ...]] = [("sampler", *COLUMNS)]
    for name in SAMPLERS:
        lines.append((f"`{name}`", *(_both(result(file), name) for file in COLUMNS.values())))
    return table(lines)


def _both(lines: pd.DataFrame, sampler: str) -> str:
    those = lines[lines["sampler"] == sampler] if len(lines) else lines
    if not len(those):
        return ""
    one = those.iloc[0]
    return f"{one['sampling']:.3f} / {one['recording']:.3f}"


def other(*names: str) -> str:
    """The tables of these measurements as the command prints them, each under its command."""
    parts = []
    for name in names:
        lines = result(name)
        if len(lines):
            columns = readable(lines)
            head = f"`python -m lab bench {RUNS[name]}`\n\n" if name in RUNS else ""
            parts.append(head + table([tuple(columns.columns), *_rows(columns)]))
    return "\n\n".join(parts) or NOTHING


def alternatives() -> str:
    """What was tried and left: its seconds over ours, and why."""
    lines = result("alternatives")
    if not len(lines):
        return NOTHING
    body = (
        (
            one["alternative"],
            f"{one['over_ours']:.2f} [{one['over_ours_low']:.2f}, {one['over_ours_high']:.2f}]",
            one["reason"],
        )
        for one in lines.to_dict("records")
    )
    return table([("tried", "seconds over ours", "why it was left"), *body])


def _rows(table: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for line in table.itertuples(index=False):
        yield tuple(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in line)


def machine() -> str:
    """The machine that measured, and whether it had other work."""
    lines, load = result("stories-greedy"), result("load")
    if not len(lines):
        return NOTHING
    busy = float(load["load"].iloc[0]) if len(load) else 0.0
    shared = (
        f" Other work shared the cores: a load average of {busy:.1f} before." if busy > 0.5 else ""
    )
    return f"Measured on {one_machine(lines)}.{shared}"


WIDTH, LEFT, RIGHT, LINE, TOP = 760, 130, 30, 20, 40


def figure() -> str:
    """Sampling and recording over the calls alone on stories at temperature 0, a line a sampler."""
    lines = result("stories-greedy")
    lines = lines[lines["sampler"].isin(SAMPLERS)] if len(lines) else lines
    height = TOP + LINE * (len(lines) + 2)
    most = max([1.5, *(lines["recording_high"] if len(lines) else ())])

    def at(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - 1) / (most - 1), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>Sampling and recording over the calls alone</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="16" fill="#374151">● sampling  ○ recording, over the calls alone '
        "(lines: quartiles)</text>",
    ]
    for tick in range(0, math.floor((most - 1) * 10) + 1):
        x = at(1 + tick / 10)
        parts.append(f'<path d="M{x},{TOP - 12}V{height - 2 * LINE}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x}" y="{height - LINE}" text-anchor="middle" fill="#374151">'
                     f"{1 + tick / 10:.1f}</text>")  # fmt: skip
    for number, line in enumerate(lines.to_dict("records")):
        parts += _dots(line, TOP + LINE * number, at)
    return "\n".join([*parts, "</svg>\n"])


def _dots(line: dict[str, float], y: int, at: Callable[[float], float]) -> Iterator[str]:
    colour, _ = style(str(line["sampler"]))
    yield (f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end" fill="#374151">'
           f"{escape(str(line['sampler']))}</text>")  # fmt: skip
    for name, fill in (("sampling", colour), ("recording", "white")):
        low, high = at(line[f"{name}_low"]), at(line[f"{name}_high"])
        yield f'<path d="M{low},{y}H{high}" stroke="{colour}"/>'
        yield f'<circle cx="{at(line[name])}" cy="{y}" r="4" fill="{fill}" stroke="{colour}"/>'
