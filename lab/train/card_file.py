"""The card of a model, README.md: what it is, how it was trained, what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lab.tasks import TASKS

KINDS = {
    "mdlm": "a masked diffusion language model (absorbing noise, full attention)",
    "bd3lm": "a block diffusion language model (absorbing noise, block-causal attention; {blocks})",
    "edit": "a block diffusion language model that also corrects (masks, and a share {p_uniform} "
    "of random tokens among the unmasked ones; block-causal attention; {blocks}); it gives the "
    "full posterior at every position of a block",
    "ar": "an autoregressive language model (causal attention; output j speaks of token j + 1)",
    "joint": "a language model of two modes in one set of weights (arXiv 2607.05722): causal "
    "(output j speaks of token j + 1), and a block mode, which fills up to {joint_length} tokens "
    "at once, attending both ways among them and to the causal reading of what stands before",
    "dflash": "a draft model (DFlash, arXiv 2602.06036): a block diffusion model that fills "
    "blocks of {draft_length} tokens in one step for the model `{target}` beside it, from that "
    "model's hidden states; embedding and output head are that model's, and so is every text that "
    "the pair writes",
    "quality_head": "a quality head (PRISM, arXiv 2510.01384) for the model `{target}` beside it: "
    "from that model's hidden states it says of each token that stands there how likely it is "
    "right given all others; every text is written by that model, which stays as it is",
    "hybrid": "a diffusion language model for hybrid noise (masks and random tokens, GIDD's curve "
    "with p_uniform {p_uniform}, full attention); it gives the full posterior at every position",
    "uniform": "a diffusion language model for uniform noise (random tokens and no masks, UDLM, "
    "arXiv 2412.10193; full attention); it gives the full posterior at every position",
}

PARTS = {  # what is trained beside a model, where the task's words would speak of the model
    "quality_head": "two linear layers that read the states behind all of the model's layers",
}


def read_stages(source: str | None) -> list[dict[str, Any]]:
    """How the model at `source` was trained so far, oldest stage first; [] if nothing says so."""
    path = Path(source or "") / "training.json"
    if not source or not path.is_file():
        return []
    return json.loads(path.read_text(encoding="utf-8"))


def write_card(
    folder: Path, fields: dict[str, Any], stages: list[dict[str, Any]], size: int
) -> None:
    """Write training.json and README.md; measured sections are carried over from the old README."""
    (folder / "training.json").write_text(json.dumps(stages, indent=1) + "\n", encoding="utf-8")
    path = folder / "README.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = {
        "held-out": "Not measured yet: `python -m lab evaluate` with `--card` writes this section.",
        "samples": "None read yet.",
    }
    for name in sections:
        sections[name] = _section(old, name) or sections[name]
    path.write_text("\n".join(_lines(fields, stages, size, sections)), encoding="utf-8")


def _lines(
    fields: dict[str, Any], stages: list[dict[str, Any]], size: int, sections: dict[str, str]
) -> list[str]:
    """The lines of a card, from its front matter to its last section."""
    kind = KINDS[stages[-1]["objective"]].format(**fields, blocks=_blocks(fields))
    words = TASKS.get(stages[-1]["data"], TASKS["stories"]).card
    assert words is not None
    network = PARTS.get(stages[-1]["objective"], words.network)
    return [
        *("---", "license: apache-2.0", "language: en", "pipeline_tag: text-generation", "---"),
        "",
        f"# {fields['name']}",
        "",
        f"{kind[0].upper()}{kind[1:]}, trained from random weights on {words.seen}. "
        f"{size / 1e6:.2f} M parameters, bf16; {network}. At most {fields['context']} "
        "columns. Not time-conditioned.",
        *("", "## Data", "", _data(stages[-1])),
        *("", "## Training", "", *_training(stages)),
        *("", "## Held-out numbers", "", *_marked("held-out", sections["held-out"])),
        *("", "## Samples", "", *_marked("samples", sections["samples"])),
        *("", "## Use and limits", ""),
        "Made to show how samplers of discrete diffusion differ on one small model, on a CPU. "
        f"{words.limits}",
        "",
    ]


def _training(stages: list[dict[str, Any]]) -> list[str]:
    """The table of stages, the hardware, the commands, and what was written down by hand."""
    notes = [
        f"Stage {number} {stage['note']}."
        for number, stage in enumerate(stages, start=1)
        if "note" in stage
    ]
    return [
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
        *(("", " ".join(notes)) if notes else ()),
    ]


def write_section(path: Path, name: str, text: str) -> None:
    """Replace one marked section of a card; ValueError where the card has no such section."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if not _section(old, name):
        raise ValueError(f"{path} must be a card written by `python -m lab train`; no '{name}'")
    path.write_text(with_section(old, name, text), encoding="utf-8")


def with_section(card: str, name: str, text: str) -> str:
    """A card's text with one marked section replaced."""
    begin, end = _marks(name)
    head, tail = card.split(begin)[0], card.split(end)[1]
    return head + "\n".join(_marked(name, text)) + tail


def write_evaluation(path: Path, text: str, flags: str) -> None:
    """Write what `evaluate` printed with these flags, and its command, into the card at path."""
    data = re.search(r"--data (\S+)", path.read_text(encoding="utf-8"))
    command = f"python -m lab evaluate path/to/{path.parent.name}"
    command += f" --data {data[1]}" if data else ""
    write_section(path, "held-out", f"Printed by `{command} {flags}`:\n\n{text}")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"


def _marked(name: str, text: str) -> list[str]:
    begin, end = _marks(name)
    return [begin, text.strip(), end]


def _section(card: str, name: str) -> str:
    begin, end = _marks(name)
    return card.split(begin)[1].split(end)[0].strip() if begin in card and end in card else ""


def _blocks(fields: dict[str, Any]) -> str:
    *more, last = fields["block_lengths"] or [0]
    if not more:
        return f"block length {last}"
    return f"block lengths {', '.join(map(str, more))} and {last} in one model"


def _data(stage: dict[str, Any]) -> str:
    task = TASKS.get(stage["data"])
    if task is not None and task.card is not None:
        return task.card.data
    text = f"`{stage['data']}`: {stage['stories']} stories, {stage['data_tokens']} tokens; "
    text += f"{stage['held_out']} further stories are held out and never train, neither model nor "
    text += "tokenizer."
    if "tinystories" in stage["data"].lower():
        text += (
            " A part of TinyStories (Eldan and Li, arXiv 2305.07759), licence CDLA-Sharing-1.0; "
            "that licence puts no condition on results of computational use such as these weights."
        )
    return text


def _stage(number: int, stage: dict[str, Any]) -> str:
    return (
        f"| {number} | {stage['objective']} | {stage['start']} | {stage['steps']} | "
        f"{stage['tokens'] / 1e6:.1f} M | {stage['minutes']:.0f} min | "
        f"{stage['processes']} x {stage['threads']} |"
    )
