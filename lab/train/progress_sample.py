"""A text of the model while it trains, by a plain sampler; those to compare live in samplers/."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerFast

from lab.train.learner import Learner
from lab.train.objectives import block_causal, causal
from lab.train.problem import Problem, everything

SWEEPS = 3  # under uniform noise: how often each token is drawn again


def _order(
    places: torch.Tensor, shift: int, size: int, random: torch.Generator
) -> Iterator[torch.Tensor]:
    """Places in random order within their block of `size` columns, the blocks left to right."""
    block = (places - shift) // size
    for number in block.unique():
        own = places[block == number]
        yield from own[torch.randperm(len(own), generator=random)]


@torch.no_grad()
def sample(
    learner: Learner,
    tokenizer: PreTrainedTokenizerFast,
    random: torch.Generator,
    *,
    length: int = 64,
    attention: str = "full",
    corruption: str = "absorbing",
    temperature: float = 0.8,
    canvas: torch.Tensor | None = None,
) -> str:
    """Write one text of `length` tokens, one a call at a random masked position of its block.

    full: one block, the canvas; block_causal: blocks of 16; causal: left to right. At temperature 1
    this is the exact law of the model (first hitting, arXiv 2409.02908). canvas [1, T]: fill its
    masked positions instead. Under uniform noise tokens start at random and are drawn again.
    """
    if canvas is None:
        tokens = torch.full((1, length), tokenizer.mask_token_id)
        tokens[0, 0] = tokenizer.bos_token_id
    else:
        tokens, length = canvas.clone(), canvas.shape[1]
    size = {"full": length, "block_causal": 16, "causal": 1}[attention]
    shift = int(attention == "causal")  # output j - 1 speaks of column j
    if attention == "causal":
        sees = causal(length)
    else:
        sees = everything(length) if attention == "full" else block_causal(length, size)
    masked = (tokens[0] == tokenizer.mask_token_id).nonzero().flatten()
    if corruption == "uniform":  # every id below the mask's
        tokens[0, masked] = torch.randint(
            tokenizer.mask_token_id, masked.shape, generator=random
        )  # fmt: skip
        masked, size = masked.repeat(SWEEPS), length
    for place in _order(masked, shift, size, random):
        loss_mask = torch.zeros(1, length, dtype=torch.bool)
        loss_mask[0, place - shift] = True
        problem = Problem(
            tokens, torch.arange(length), sees, loss_mask, tokens, loss_mask.float(), 1
        )
        chance = (learner.logits(problem).cpu() / temperature).softmax(1)
        tokens[0, place] = torch.multinomial(chance, 1, generator=random)[0]
    ids = tokens[0].tolist()
    ids = ids[int(ids[0] == tokenizer.eos_token_id) :]  # the start, where an end stands for it
    if tokenizer.eos_token_id in ids:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()
