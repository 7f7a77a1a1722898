"""The README's table of samplers, made from the registry: python -m tests.readme_table --write."""

import sys
from pathlib import Path

from samplers import SAMPLERS
from samplers.registry import Sampler

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- samplers: written by `python -m tests.readme_table --write` -->"
END = "<!-- end of samplers -->"


def table() -> str:
    """One line a sampler, in the order in which the app shows them."""
    lines = [
        "| name | what it does | law | runs on | parameters and defaults | presets |",
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
    runs += "; a drafter" if needs.draft else ""
    params = ", ".join(f"`{param.name}={param.default!r}`" for param in sampler.params)
    presets = ", ".join(f"`{name}`" for name in sampler.presets)
    cells = f"`{sampler.name}`", f"{link}. {first}", sampler.law, runs, params, presets
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _words(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def updated(readme: str) -> str:
    """The README's text with the table between the two markers made anew."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> None:
    """Print the table, or with --write put it into the README."""
    if arguments == ["--write"]:
        README.write_text(updated(README.read_text("utf-8")), "utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main(sys.argv[1:])
