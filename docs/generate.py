"""Write the tables of README.md and docs/ from the code and the model cards: `make docs`.

A table stands between `<!-- NAME: written by make docs -->` and `<!-- end of NAME -->`; TABLES says
which function prints which, FIGURES which draws one, CARDS
which cards print from the atlas. `--check` writes nothing and fails where a
file is out of date.
"""

import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from docs import choosing_page, performance_page, shuffle_page, study_pages
from lab.models.transformers.families import FAMILIES, Family
from lab.tasks import TASKS
from lab.train.card_file import with_section
from samplers import SAMPLERS
from samplers.registry import Needs, Param, Sampler
from tests.kit.samplers_table import samplers_table, schedules_table
from tests.mutants import LISTS

ROOT = Path(__file__).resolve().parents[1]
ARXIV = "https://arxiv.org/abs/"
HUB = "https://huggingface.co/"
LAW = re.compile(r"[LPG]\d+ ")


def rows(*lines: Iterable[object]) -> str:
    """A Markdown table; the first line is its head."""
    head, *body = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body))


def samplers() -> str:
    """One line a sampler, in the order in which the page shows them."""
    lines = [
        (f"`{s.name}`", f"[{s.title}]({_paper(s)})", _summary(s), s.guarantee, _needs(s.needs))
        for s in SAMPLERS.values()
    ]
    return rows(("name", "paper", "what it does", "guarantee", "runs on"), *lines)


def parameters() -> str:
    """A section a sampler: what can be set, from where to where, and its presets."""
    return "\n\n".join(map(_section, SAMPLERS.values()))


def _section(sampler: Sampler) -> str:
    head = ("parameter", "default", "may be", "what it does")
    lines = [(f"`{p.name}`", f"`{p.default!r}`", _rule(p), p.help) for p in sampler.params]
    presets = [
        f"- preset `{name}`: " + ", ".join(f"`{key}={value!r}`" for key, value in values.items())
        for name, values in sampler.presets.items()
    ]
    text = f"## `{sampler.name}`: {sampler.title}\n\n{_summary(sampler)} [{sampler.paper}]"
    text += f"({_paper(sampler)}). Guarantee: {sampler.guarantee}. Runs on {_needs(sampler.needs)}."
    return "\n\n".join([text, rows(head, *lines), *(["\n".join(presets)] if presets else [])])


def _rule(param: Param) -> str:
    return param.rule().replace(" (or None: off)", ", or `None`: off")


def _paper(sampler: Sampler) -> str:
    return sampler.paper.replace("arXiv:", ARXIV)


def _summary(sampler: Sampler) -> str:
    return " ".join(sampler.help.split("\n\n")[0].split())


def _needs(needs: Needs) -> str:
    parts = [
        f"{' or '.join(sorted(needs.corruption))} corruption",
        f"{' or '.join(sorted(needs.attention)).replace('_', '-')} attention",
        f"{needs.posterior} posterior" if needs.posterior else "",
        "a draft model" if needs.draft else "",
        "a block mode" if needs.joint else "",
        "leave-one-out answers" if needs.leave_one_out else "",
        "token frequencies" if needs.frequencies else "",
        "a reward" if needs.reward else "",
        "a quality head" if needs.quality else "",
    ]
    return ", ".join(filter(None, parts))


def tasks() -> str:
    """One line a task: what it shows and which models write it."""
    lines = [
        (f"`{t.name}`", " ".join(t.summary.split()), ", ".join(t.models)) for t in TASKS.values()
    ]
    return rows(("task", "what it shows", "models"), *lines)


def checkpoints() -> str:
    """One line a family of published checkpoints, in the order in which they are recognised."""
    head = ("id", "family", "attention", "sampler", "status")
    return rows(head, *map(_family, FAMILIES))


def _family(family: Family) -> tuple[str, ...]:
    names = ", ".join(f"[{name}]({HUB}{name})" for name in family.ids)
    sampler = f"`{family.sampler}`" + (f" (`{family.preset}`)" if family.preset else "")
    if family.also:
        sampler += "; also " + ", ".join(f"`{name}`" for name in family.also)
    status = family.status
    status += "; opened with its target" if family.adapter == "draft_model" else ""
    status += "; needs its own code" if family.adapter == "remote" else ""
    attention = family.attention.replace("_", "-") + (", logits shifted" if family.shifted else "")
    attention += ", with a block mode" if family.joint_length else ""
    return names, family.name, attention, sampler, status


def held_out_bounds() -> str:
    """The held-out bounds of all story models, lowest first, from their cards."""
    lines = []
    for card in sorted((ROOT / "assets/stories").glob("*/README.md")):
        text = _held_out(card)
        for line in re.findall(r"^\| (.+ \| [\d.]+ ± [\d.]+ \| [\d.]+) \|$", text, re.MULTILINE):
            if line.count(" | ") == 2:
                lines.append((card.parent.name, *line.split(" | ")))
    lines.sort(key=lambda line: float(line[2].split()[0]))
    return rows(("model", "bound", "nats a token", "perplexity at most"), *lines)


def solve_rates() -> str:
    """The first table of solve rates of every puzzle model's card, with the sentence above it."""
    parts = []
    for task in study_pages.SOLVERS:
        text = _held_out(ROOT / "assets" / task / "mdlm/README.md")
        table = re.search(r"(?:^\|.+\n)+", text, re.MULTILINE)
        head = text.strip().splitlines()[0]
        parts.append(f"`{task}-mdlm`. {head}\n\n{table[0].strip() if table else ''}")
    return "\n\n".join(parts)


def laws() -> str:
    """One line a law: the tests that its mutants turn red."""
    tests: dict[str, list[str]] = {}
    for mutant in (mutant for mutants in LISTS.values() for mutant in mutants):
        if LAW.match(mutant.law):
            tests.setdefault(mutant.law.split()[0], []).append(mutant.test.split("[")[0])
    lines = []
    for law in sorted(tests, key=lambda law: ("LPG".index(law[0]), int(law[1:]))):
        files: dict[str, list[str]] = {}
        for test in dict.fromkeys(tests[law]):
            file, _, name = test.partition("::")
            files.setdefault(file, []).append(f"`{name.removeprefix('test_')}`")
        where = "; ".join(f"`{file}`: {', '.join(names)}" for file, names in files.items())
        lines.append((law, len(tests[law]), where))
    return rows(("law", "mutants", "tests that fail on them"), *lines)


def _held_out(card: Path) -> str:
    """What a card says between the marks of its held-out numbers, less what follows in prose."""
    text = card.read_text("utf-8")
    return text.split("<!-- held-out -->")[1].split("<!-- end of held-out -->")[0]


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "docs/choosing-a-sampler.md": {
        "in short": choosing_page.in_short,
        "by budget": choosing_page.by_budget,
        "winners": choosing_page.winners,
        "adaptive": partial(choosing_page.pairs, choosing_page.adaptive_pairs),
        "order": partial(choosing_page.pairs, choosing_page.order_pairs),
        "temperature": partial(choosing_page.pairs, choosing_page.temperature_pairs),
        "fidelity": choosing_page.fidelity,
        "text": choosing_page.text,
        "sources": choosing_page.sources,
    },
    "docs/is-your-sampler-correct.md": {
        "correctness": study_pages.correctness,
        "shuffle": shuffle_page.shuffle_table,
    },
    "README.md": {"samplers": samplers, "tasks": tasks},
    "docs/parameters.md": {"parameters": parameters},
    "docs/samplers.md": {"guarantees": samplers_table, "schedules": schedules_table},
    "docs/checkpoints.md": {"checkpoints": checkpoints},
    "docs/laws.md": {"laws": laws},
    "docs/performance.md": {
        "goals": performance_page.goals,
        "machine": performance_page.machine,
        "by sampler": performance_page.by_sampler,
        "other libraries": partial(
            performance_page.other, "diffusers", "diffusers-long", "transformers", "draws"
        ),
        "call, page, start": partial(performance_page.other, "calls", "panels", "starts"),
        "dual cache": partial(performance_page.other, "dual-cache"),
        "alternatives": performance_page.alternatives,
    },
    "docs/training.md": {
        "held-out bounds": held_out_bounds,
        "solve rates": solve_rates,
    },
}


FIGURES: dict[str, Callable[[], str]] = {
    "docs/figures/error-by-steps.svg": study_pages.truth_figure,
    "docs/figures/kl-rate-by-calls.svg": study_pages.kl_figure,
    "docs/figures/kl-of-shuffle.svg": shuffle_page.shuffle_figure,
    "docs/figures/cost-by-sampler.svg": performance_page.figure,
}


# Cards of models whose numbers are the atlas's: their folder, and the model's name.
CARDS = {
    f"assets/{task}/{network}/README.md": f"{task}-{network}"
    for task in study_pages.SOLVERS
    for network in ("mdlm", "ar")
}


def updated(file: str) -> str:
    """A file's text with its tables printed again, or a figure. ValueError where a marker is
    missing."""
    if file in FIGURES:
        return FIGURES[file]()
    text = (ROOT / file).read_text("utf-8")
    if file in CARDS:
        section = study_pages.card_section(CARDS[file])
        return text if section is None else with_section(text, "held-out", section)
    for name, table in TABLES[file].items():
        begin, end = f"<!-- {name}: written by make docs -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{file} must have {begin} and {end} once each")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{table()}\n{end}{rest.split(end)[1]}"
    return text


def main(arguments: list[str]) -> int:
    """Write every file that is out of date; with --check only name it and return 1."""
    late = False
    for file in (*CARDS, *TABLES, *FIGURES):  # tables read cards
        path, text = ROOT / file, updated(file)
        if path.exists() and path.read_text("utf-8") == text:
            continue
        late = True
        print(file)
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return int("--check" in arguments and late)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
