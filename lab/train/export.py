"""Write a model as a folder that the stock classes open: bf16 safetensors, config, lab.json."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from lab.models.transformers.quality_head import QualityHead, save_head
from lab.train.objectives import BLOCK_LENGTHS

NOISE = {"hybrid": "hybrid", "edit": "hybrid", "uniform": "uniform"}  # else absorbing
SCHEDULES = {"hybrid": "hybrid", "uniform": "linear"}  # else loglinear


def card_fields(
    objective: str, name: str, task: str, context: int, p_uniform: float
) -> dict[str, Any]:
    """The ModelCard fields that config and tokenizer do not hold; None where one does not apply."""
    causal = objective in ("ar", "joint", "dflash")  # a draft model runs as its target with it
    block = objective in ("bd3lm", "edit")
    return {
        "name": name,
        "task": task,
        "attention": "block_causal" if block else "causal" if causal else "full",
        "corruption": NOISE.get(objective, "absorbing"),
        "posterior": "full",
        "schedule": SCHEDULES.get(objective, "loglinear"),
        "p_uniform": p_uniform if NOISE.get(objective) == "hybrid" else None,
        "time_conditioned": False,
        "block_lengths": list(BLOCK_LENGTHS) if block else None,
        "context": context,
        "draft_length": None,
        "joint_length": BLOCK_LENGTHS[-1] if objective == "joint" else None,
    }


def export(folder: Path, network: PreTrainedModel | QualityHead, fields: dict[str, Any]) -> int:
    """Write a model as bf16 in shards under 10 MB, and lab.json; return its parameters' number."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(network, QualityHead):
        save_head(folder, network)
    else:
        copied = copy.deepcopy(network).float().cpu()
        logging.disable_progress_bar()
        copied.to(torch.bfloat16).save_pretrained(folder, max_shard_size="9MB")
        (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "lab.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    return sum(value.numel() for value in network.parameters())
