"""The README's tables of samplers and checkpoints: python -m tests.kit.readme_table --write."""

import sys
from pathlib import Path

from lab.models.transformers.families import FAMILIES, Family
from samplers import SAMPLERS
from samplers.registry import Sampler

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- samplers: written by `python -m tests.kit.readme_table --write` -->"
END = "<!-- end of samplers -->"
BEGIN_CHECKPOINTS = "<!-- checkpoints: written by `python -m tests.kit.readme_table --write` -->"
END_CHECKPOINTS = "<!-- end of checkpoints -->"


def table() -> str:
    """One line a sampler, in the order in which the app shows them."""
    lines = [
        "| name | what it does | guarantee | runs on | parameters and defaults | presets |",
        "|---|---|---|---|---|---|",
        *map(_line, SAMPLERS.values()),
    ]
    return "\n".join(lines)


def _line(sampler: Sampler) -> str:
    first = sampler.help.split("\n\n")[0].replace("\n", " ").strip()
    paper = sampler.paper.replace("arXiv:", "https://arxiv.org/abs/")
    link = f"[{sampler.title}]({paper})"
    needs = sampler.needs
    runs = f"{_words(needs.corruption)} corruption; {_words(needs.attention)} attention"
    runs += f"; {needs.posterior} posterior" if needs.posterior else ""
    runs += "; a draft model" if needs.draft else ""
    params = ", ".join(f"`{param.name}={param.default!r}`" for param in sampler.params)
    presets = ", ".join(f"`{name}`" for name in sampler.presets)
    cells = f"`{sampler.name}`", f"{link}. {first}", sampler.guarantee, runs, params, presets
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _words(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def checkpoints() -> str:
    """One line a family of published checkpoints, in the order in which they are recognised."""
    lines = [
        "| id | family | attention | sampler | status |",
        "|---|---|---|---|---|",
        *map(_family_line, FAMILIES),
    ]
    return "\n".join(lines)


def _family_line(family: Family) -> str:
    names = ", ".join(f"[{name}](https://huggingface.co/{name})" for name in family.ids)
    sampler = f"`{family.sampler}`" + (f" (`{family.preset}`)" if family.preset else "")
    status = family.status
    status += "; opened with its target" if family.adapter == "draft_model" else ""
    status += "; needs its own code" if family.adapter == "remote" else ""
    attention = family.attention + (", logits shifted" if family.shifted else "")
    return "| " + " | ".join((names, family.name, attention, sampler, status)) + " |"


def updated(readme: str) -> str:
    """The README's text with the tables between their markers made anew."""
    readme = _between(readme, BEGIN, table(), END)
    return _between(readme, BEGIN_CHECKPOINTS, checkpoints(), END_CHECKPOINTS)


def _between(readme: str, begin: str, made: str, end: str) -> str:
    before, rest = readme.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{made}\n{end}{after}"


def main(arguments: list[str]) -> None:
    """Print the tables, or with --write put them into the README."""
    if arguments == ["--write"]:
        README.write_text(updated(README.read_text("utf-8")), "utf-8")
    else:
        print(table(), checkpoints(), sep="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
