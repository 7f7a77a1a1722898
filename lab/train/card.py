"""The model card of a net: what it is, how it was made, what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

KINDS = {
    "mdlm": "a masked diffusion language model (absorbing noise, full attention)",
    "bd3lm": "a block diffusion language model (absorbing noise, block-causal attention; block "
    "lengths 4, 8, 16 and 32 in one net)",
    "hybrid": "a diffusion language model for hybrid noise (masks and random tokens, GIDD's curve "
    "with p_uniform {p_uniform}, full attention); it gives the full posterior at every position",
}


def read_stages(source: str | None) -> list[dict[str, Any]]:
    """How the net at `source` was trained so far, oldest stage first; [] where it is not told."""
    path = Path(source or "") / "training.json"
    if not source or not path.is_file():
        return []
    return json.loads(path.read_text(encoding="utf-8"))


def write_card(
    folder: Path, fields: dict[str, Any], stages: list[dict[str, Any]], size: int
) -> None:
    """Write training.json and README.md; sections measured later are kept from an older README."""
    (folder / "training.json").write_text(json.dumps(stages, indent=1) + "\n", encoding="utf-8")
    path = folder / "README.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = {
        "held-out": "Not measured yet: `python -m lab evaluate` with `--card` writes this section.",
        "samples": "None read yet.",
    }
    for name in sections:
        sections[name] = _section(old, name) or sections[name]
    objective = stages[-1]["objective"]
    kind = KINDS[objective].format(p_uniform=fields["p_uniform"])
    lines = [
        "---",
        "license: apache-2.0",
        "language: en",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {fields['name']}",
        "",
        f"{kind[0].upper()}{kind[1:]}, trained from random weights on small children's stories. "
        f"{size / 1e6:.2f} M parameters, bf16; a stock transformers decoder whose attention mask "
        f"the caller gives. At most {fields['context']} columns. Not time-conditioned.",
        "",
        "## Data",
        "",
        _data(stages[-1]),
        "",
        "## Training",
        "",
        "| stage | objective | start | steps | tokens seen | wall time | processes x threads |",
        "|---|---|---|---|---|---|---|",
        *(_stage(number, stage) for number, stage in enumerate(stages, start=1)),
        "",
        f"Hardware: {stages[-1]['hardware']}. The weights are an exponential moving average. "
        "The commands:",
        "",
        "```",
        *(stage["command"] for stage in stages),
        "```",
        "",
        "## Held-out numbers",
        "",
        *_marked("held-out", sections["held-out"]),
        "",
        "## Samples",
        "",
        *_marked("samples", sections["samples"]),
        "",
        "## Use and limits",
        "",
        "Made to show how samplers of discrete diffusion differ on one small net, on a CPU. It "
        "writes short stories in the words of a small child, loses the thread after a sentence or "
        "two, knows no facts, follows no instructions and speaks English only. It may repeat its "
        "corpus and the stereotypes in it. Not for any use in which a reader relies on the text.",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_section(path: Path, name: str, text: str) -> None:
    """Replace one marked section of a card; ValueError where the card has no such section."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if not _section(old, name):
        raise ValueError(f"{path} must be a card written by `python -m lab train`; no '{name}'")
    begin, end = _marks(name)
    head, tail = old.split(begin)[0], old.split(end)[1]
    path.write_text(head + "\n".join(_marked(name, text)) + tail, encoding="utf-8")


def write_evaluation(path: Path, told: str, command: str) -> None:
    """Write what `evaluate` printed, and the command that printed it, into the card at path."""
    data = re.search(r"--data (\S+)", path.read_text(encoding="utf-8"))
    shown = command.format(net="path/to/" + path.parent.name, data=data[1] if data else "DATA")
    write_section(path, "held-out", f"Printed by `{shown}`:\n\n{told}")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"


def _marked(name: str, text: str) -> list[str]:
    begin, end = _marks(name)
    return [begin, text.strip(), end]


def _section(card: str, name: str) -> str:
    begin, end = _marks(name)
    return card.split(begin)[1].split(end)[0].strip() if begin in card and end in card else ""


def _data(stage: dict[str, Any]) -> str:
    told = f"`{stage['data']}`: {stage['stories']} stories, {stage['data_tokens']} tokens; "
    told += f"{stage['held_out']} further stories are held out and never train, neither net nor "
    told += "tokenizer."
    if "tinystories" in stage["data"].lower():
        told += (
            " A part of TinyStories (Eldan and Li, arXiv 2305.07759), licence CDLA-Sharing-1.0; "
            "that licence puts no condition on results of computational use such as these weights."
        )
    return told


def _stage(number: int, stage: dict[str, Any]) -> str:
    return (
        f"| {number} | {stage['objective']} | {stage['start']} | {stage['steps']} | "
        f"{stage['tokens'] / 1e6:.1f} M | {stage['minutes']:.0f} min | "
        f"{stage['processes']} x {stage['threads']} |"
    )
