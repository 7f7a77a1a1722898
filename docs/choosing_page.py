"""The numbers of docs/choosing-a-sampler.md, from whatever the atlas holds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from statistics import median
from typing import NamedTuple

import pandas as pd

from docs.study_pages import atlas
from lab.study.frontier import ALPHA, Best, Scores, best_under, paired
from lab.study.statistics import Comparison, Interval, holm
from lab.study.summary import name_of, names_of, of_case, settings_of
from lab.tasks import TASKS

BUDGETS = (4, 8, 16, 32, 64)
NOTHING = "The atlas holds nothing on this yet."
FEWEST = 30  # rows of a setting that a sentence rests on
# How many tokens a call commits: as the model's confidence allows, or as many as were asked for.
ADAPTIVE = ("threshold", "entropy_bound", "llada2", "sdar", "klass")
FIXED = ("mdlm", "first_hitting", "margin", "max_prob", "llada", "dream", "bd3lm", "remdm")
CONFIDENT, RANDOM = ("margin", "max_prob"), ("first_hitting",)


class Place(NamedTuple):
    """One case of a task, and each setting's rows by its name."""

    task: str
    case: str
    settings: dict[str, Scores]
    sampler: dict[str, str]

    @property
    def title(self) -> str:
        """`sudoku9`, 26."""
        return f"`{self.task}`, {self.case}"

    def only(self, samplers: Sequence[str], part: str = "") -> dict[str, Scores]:
        """The settings of these samplers whose name holds `part`."""
        return {
            name: scores
            for name, scores in self.settings.items()
            if self.sampler[name] in samplers and part in name
        }


@cache
def places() -> tuple[Place, ...]:
    """Every case that a checker judges, in the order of the tasks; its hardest case last."""
    points = atlas()
    points = points[(points["rows"] >= FEWEST) & points["score"].notna()]
    result = []
    for task in TASKS.values():
        for case in task.cases:
            here = of_case(points, task.name, case)
            if len(here) > 1:
                sampler = dict(zip(names_of(here), here["sampler"], strict=True))
                settings = settings_of(points, task.name, case)
                result.append(Place(task.name, case, settings, sampler))
    return tuple(result)


@cache
def bests() -> tuple[tuple[Place, int, Best], ...]:
    """The best of every case within each budget that leaves something out."""
    return tuple(
        (place, budget, best)
        for place in places()
        for budget in BUDGETS
        if budget < max(scores.cost for scores in place.settings.values())
        and (best := best_under(place.settings, budget))
    )


def winners() -> str:
    """How often each sampler is the best of a case and budget, or cannot be told from it."""
    counts: Counter[str] = Counter()
    for place, _, best in bests():
        names = (best.name, *best.indistinguishable)
        counts.update({place.sampler[name] for name in names})
    measured = Counter(
        sampler for place, _, _ in bests() for sampler in set(place.sampler.values())
    )
    lines = [
        "| sampler | best, or not distinguishable from the best | of so many |",
        "|---|---|---|",
    ]
    shares = sorted(measured, key=lambda n: (-counts[n] / measured[n], -counts[n], n))
    lines += [f"| `{name}` | {counts[name]} | {measured[name]} |" for name in shares]
    return "\n".join(lines)


def by_budget() -> str:
    """One table a task: what is best from each budget on, and what cannot be told from it."""
    parts = []
    for task in dict.fromkeys(place.task for place, _, _ in bests()):
        head = ["case", "from", "best", "solved [95 %]", "calls", "other samplers as good"]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        before = None
        for place, budget, best in bests():
            if place.task == task and (place.case, best.name) != before:
                lines.append(_line(place, budget, best))
                before = place.case, best.name
        parts.append(f"### {TASKS[task].title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _line(place: Place, budget: int, best: Best) -> str:
    mine = place.sampler[best.name]
    others = [
        name
        for name in dict.fromkeys(place.sampler[rival] for rival in best.indistinguishable)
        if name != mine
    ]
    names = ", ".join(f"`{name}`" for name in others[:4]) or "none"
    names += f" and {len(others) - 4} more" if len(others) > 4 else ""
    cells = [place.case, f"{budget} calls", f"`{best.name}`", best.score.percent(),
             f"{best.cost:.1f}", names]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


class Pair(NamedTuple):
    """Two settings of a case on the same instances; p corrected over all pairs of its list."""

    place: Place
    a: str
    b: str
    comparison: Comparison
    p_value: float

    @property
    def sign(self) -> int:
        """1 where a is better, -1 where b is, 0 where the rows cannot tell."""
        if self.p_value >= ALPHA:
            return 0
        return 1 if self.comparison.difference.estimate > 0 else -1

    def sentence(self) -> str:
        """Both rates, the difference, and whether it is one."""
        first, second = self.place.settings[self.a], self.place.settings[self.b]
        value, low, high = (100 * each for each in self.comparison.difference)
        p_value = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        verdict = "" if self.sign else "not distinguishable, "
        return (
            f"- {self.place.title}: `{self.a}` {first.score_interval().percent()} at "
            f"{first.cost:.1f} calls, `{self.b}` {second.score_interval().percent()} at "
            f"{second.cost:.1f}: {verdict}{value:+.1f} points [{low:+.1f}, {high:+.1f}], {p_value}"
        )


def _pairs(names: Iterator[tuple[Place, str, str]]) -> tuple[Pair, ...]:
    every = list(names)
    comparisons = [paired(place.settings[a], place.settings[b]) for place, a, b in every]
    adjusted = holm([each.p_value for each in comparisons])
    return tuple(
        Pair(*each, comparison, p_value)
        for each, comparison, p_value in zip(every, comparisons, adjusted, strict=True)
    )


@cache
def adaptive_pairs() -> tuple[Pair, ...]:
    """The best setting that lets confidence decide how many tokens a call commits, against the best
    of those that fix the number, in no more calls."""

    def names() -> Iterator[tuple[Place, str, str]]:
        for place in places():
            adaptive = best_under(place.only(ADAPTIVE), max(BUDGETS))
            fixed = adaptive and best_under(place.only(FIXED), adaptive.cost)
            if adaptive and fixed:
                yield place, adaptive.name, fixed.name

    return _pairs(names())


@cache
def order_pairs() -> tuple[Pair, ...]:
    """One token a call in the order of confidence, against a random order."""

    def names() -> Iterator[tuple[Place, str, str]]:
        for place in places():
            confident, random = (_slowest(place.only(names)) for names in (CONFIDENT, RANDOM))
            if confident and random:
                yield place, confident, random

    return _pairs(names())


@cache
def temperature_pairs() -> tuple[Pair, ...]:
    """The same sampler of largest margin, one token a call, at temperature 0 and 1."""

    def names() -> Iterator[tuple[Place, str, str]]:
        for place in places():
            slow = _slowest(place.only(("margin",), "temperature=0"))
            warm = (slow or "").replace("temperature=0", "temperature=1")
            if slow and warm in place.settings:
                yield place, slow, warm

    return _pairs(names())


def _slowest(settings: dict[str, Scores]) -> str | None:
    """The best of the settings that take (nearly) as many calls as any of them."""
    most = max((scores.cost for scores in settings.values()), default=0.0)
    slow = {name: scores for name, scores in settings.items() if scores.cost > 0.95 * most}
    best = best_under(slow, most) if slow else None
    return best.name if best else None


def pairs(which: Callable[[], tuple[Pair, ...]]) -> str:
    """One sentence a case."""
    return "\n".join(pair.sentence() for pair in which()) or NOTHING


def in_short() -> str:
    """What follows from the pairs, counted."""
    lines = [
        _count("letting confidence decide how many tokens a call commits, against the best setting "
               "that fixes the number and takes no more calls", adaptive_pairs()),
        _count("one token a call in the order of confidence, against a random order",
               order_pairs()),
        _count("temperature 0, against temperature 1 (largest margin, one token a call)",
               temperature_pairs()),
        *_against_truth(),
    ]  # fmt: skip
    return "\n".join(f"- {line}" for line in lines if line) or NOTHING


def _count(what: str, pairs: tuple[Pair, ...]) -> str:
    if not pairs:
        return ""
    signs = Counter(pair.sign for pair in pairs)
    values = [100 * pair.comparison.difference.estimate for pair in pairs]
    return (
        f"{what[0].upper()}{what[1:]}: better in {signs[1]} of {len(pairs)} cases, worse in "
        f"{signs[-1]}, not distinguishable in {signs[0]} (p < {ALPHA}, Holm); the difference is "
        f"{median(values):+.1f} points in the median case, from {min(values):+.1f} to "
        f"{max(values):+.1f}."
    )


def _against_truth() -> Iterator[str]:
    """Whether what solves most is also closest to the model's own distribution."""
    points = of_case(atlas(), "chain", "64")
    points = points[points["kl_rate"].notna()]
    if not len(points):
        return
    solving = points.sort_values(["score", "calls"], ascending=[False, True]).iloc[0]
    closest = points.sort_values("kl_rate").iloc[0]
    score = Interval(solving["score"], solving["score_low"], solving["score_high"]).percent()
    yield (
        f"Right is not the same as faithful: on the letter chain `{name_of(solving)}` writes texts "
        f"without a rare pair in {score} of all rows, at a KL rate of {solving['kl_rate']:.3f} "
        f"nats to the truth; `{name_of(closest)}` has {closest['kl_rate']:.3f}."
    )


def fidelity() -> str:
    """How close to the truth of the letter chain each budget comes, and what the truth shows."""
    points = atlas()
    points = points[points["kl_rate"].notna()]
    lines = []
    for budget in BUDGETS:
        allowed = points[points["calls"] <= budget]
        if len(allowed):
            best = allowed.sort_values("kl_rate").iloc[0]
            lines.append(
                f"| {budget} calls | `{best['sampler']} ({best['setting']})` | "
                f"{best['kl_rate']:.3f} | {best['calls']:.1f} | {best['rows']:,} |"
            )
    causal = points[(points["sampler"] == "autoregressive")].sort_values("kl_rate")[:1]
    for line in causal.to_dict("records"):
        lines.append(
            f"| any | `autoregressive`, exact: the zero line | {line['kl_rate']:.3f} | "
            f"{line['calls']:.1f} | {line['rows']:,} |"
        )
    head = (
        "| at most | closest | KL rate (nats a transition) | calls | rows |\n|---|---|---|---|---|"
    )
    return "\n".join([head, *lines]) if lines else NOTHING


def text() -> str:
    """Likelihood beside diversity of text that nothing checks, by number of calls."""
    points = atlas()
    points = points[points["score"].isna() & points["nats"].notna() & (points["rows"] >= FEWEST)]
    head = "| at most | lowest nats a token | nats [95 %] | entropy [95 %] | calls |"
    lines = [head, "|---|---|---|---|---|"]
    for budget in BUDGETS:
        allowed = points[points["calls"] <= budget]
        if len(allowed):
            best = allowed.sort_values("nats").iloc[0]
            lines.append(
                f"| {budget} calls | `{best['sampler']} ({best['setting']})` | "
                f"{_plain(best, 'nats')} | {_plain(best, 'entropy')} | {best['calls']:.1f} |"
            )
    return "\n".join(lines) if len(lines) > 2 else NOTHING


def sources() -> str:
    """What the atlas holds: rows, settings, tasks and models."""
    points = atlas()
    lines = ["| task | cases | models | settings | rows a setting |", "|---|---|---|---|---|"]
    for task in TASKS:
        here = points[points["task"] == task]
        if len(here):
            cases = ", ".join(dict.fromkeys(here["case"]))
            models = ", ".join(f"`{name}`" for name in dict.fromkeys(here["model"]))
            settings = here.groupby(["sampler", "settings"]).ngroups
            rows = sorted({f"{rows:,}" for rows in here["rows"]})
            lines.append(f"| `{task}` | {cases} | {models} | {settings} | {', '.join(rows)} |")
    total = f"{points['rows'].sum():,} rows in {len(points):,} points."
    return "\n".join([total, "", *lines])


NOTHING = "The atlas holds nothing on this yet."


def _plain(line: pd.Series, name: str) -> str:
    interval = Interval(line[name], line[f"{name}_low"], line[f"{name}_high"])
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
