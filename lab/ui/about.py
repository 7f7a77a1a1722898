"""What the page says about every sampler: idea, guarantee, paper, and what the atlas measured."""

from functools import cache

from lab.study.statistics import Interval
from lab.study.summary import of_case
from lab.tasks import TASKS
from lab.ui import picture
from lab.ui.forecast import GUARANTEES
from samplers import SAMPLERS
from samplers.registry import Sampler

TASK, CASE = "sudoku4", "4"  # in which every sampler with a model was measured
CALLS = 4  # the budget under which its best setting is told: a third of the cells to fill in
INTRODUCTION = (
    "A guarantee speaks of default settings, temperature 1 and no filter: how far a sampler's "
    "texts may be from what the model itself would write. The atlas's line names the setting that "
    f"solved most within {CALLS} calls of the model, with a 95 % interval; the Study tab has all "
    "of them."
)


@cache
def about() -> str:
    """All samplers as Markdown, in the order of the registry."""
    return "\n\n".join([INTRODUCTION, *map(_section, SAMPLERS.values())])


def _section(sampler: Sampler) -> str:
    idea = " ".join(sampler.help.split("\n\n")[0].split())
    guarantee = GUARANTEES.get(sampler.guarantee, sampler.guarantee)
    facts = [
        f"**{guarantee[0].upper()}{guarantee[1:]}**",
        f"[{sampler.paper}](https://arxiv.org/abs/{sampler.paper.removeprefix('arXiv:')})",
    ]
    if sampler.presets:
        facts.append(f"presets: {', '.join(f'`{name}`' for name in sampler.presets)}")
    lines = [f"### {sampler.title} (`{sampler.name}`)", idea, " · ".join(facts)]
    return "\n\n".join([*lines, *([measured] if (measured := _measured(sampler.name)) else [])])


def _measured(sampler: str) -> str:
    """The atlas's best setting of a sampler under the budget, else its cheapest; "" for none."""
    points = of_case(picture.atlas(), TASK, CASE)
    own = points[(points["sampler"] == sampler) & points["score"].notna()]
    if not len(own):
        return ""
    affordable = own[own["calls"] <= CALLS]
    best = affordable.nlargest(1, "score") if len(affordable) else own.nsmallest(1, "calls")
    line = best.iloc[0]
    share = Interval(line["score"], line["score_low"], line["score_high"]).percent()
    return (
        f"*Atlas: {share} of {TASKS[TASK].title} solved ({TASKS[TASK].cases[CASE]}) at "
        f"{line['calls']:.3g} calls, {int(line['rows']):,} rows, setting {line['setting']}.*"
    )
