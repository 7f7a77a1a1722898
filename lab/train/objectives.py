"""What each objective asks of a model for one batch: noisy input, attention, targets, weights."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lab.train.draft_learner import Blocks, dflash
from lab.train.problem import T_LOW, Problem, everything, low_discrepancy
from lab.train.quality_learner import Filling
from lab.train.replacement_noise import hybrid, uniform

BLOCK_LENGTHS = (4, 8, 16, 32)
MASKINGS = ("exact", "independent")
WHOLE = (0.0, 1.0)


def absorb(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    block_length: int,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    level: float | None = None,
    prefix: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask tokens [B, T] block by block; return noisy [B, T] and the bound's weight [B, T].

    independent: t ~ U(low, 1) a block, each token masked with chance t, weight 1/t (MDLM eq. 10).
    exact: n ~ U{1..m} of a block's m tokens are masked, weight m/n (LLaDA eq. 6): the same bound in
    expectation, all of (0, 1], and no n/t that strays (in a block of 4 it strays most of the time).
    noise_range: t, or n/m, is drawn from these limits alone (BD3LM's clipped schedule, section 5.3:
    less variance in training, no bound any more). `level` fixes t, or n/m. The first `prefix`
    columns stay clean, as in sampling: bos or a prompt.
    """
    rows, length = tokens.shape
    block = torch.arange(length) // block_length
    blocks = int(block[-1]) + 1
    may = torch.ones(length, dtype=torch.bool)
    may[:prefix] = False
    size = torch.zeros(blocks).index_add(0, block, may.float())
    least, most = noise_range
    unit = least + (most - least) * low_discrepancy(rows * blocks, random).view(rows, blocks)
    if level is not None:
        unit = torch.full_like(unit, level)
    key = torch.rand(rows, length, generator=random).masked_fill(~may, 2.0)
    if masking == "independent":
        time = (low + (1 - low) * unit if level is None else unit)[:, block]
        return tokens.masked_fill(key < time, mask_id), 1 / time
    count = (unit * size).floor() + 1 if level is None else (unit * size).round()
    order = (key + 4 * block).argsort(1)
    begin = torch.arange(blocks) * block_length
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(length).expand(rows, -1))
    masked = may & (rank - begin[block] < count[:, block])
    return tokens.masked_fill(masked, mask_id), size[block] / count[:, block].clamp(min=1)


def mdlm(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    level: float | None = None,
    prefix: int = 1,
) -> Problem:
    """Absorbing diffusion with full attention (MDLM eq. 10, LLaDA eq. 6)."""
    rows, length = tokens.shape
    noisy, weight = absorb(
        tokens, mask_id, random,
        block_length=length, masking=masking, low=low, noise_range=noise_range, level=level,
        prefix=prefix,
    )  # fmt: skip
    return Problem(
        noisy,
        torch.arange(length),
        everything(length),
        noisy == mask_id,
        tokens,
        weight,
        rows * (length - prefix),
    )


def block_causal(length: int, block_length: int) -> torch.Tensor:
    """Attention [length, length]: everything up to the end of the own block."""
    block = torch.arange(length) // block_length
    return block[:, None] >= block[None, :]


def noisy_and_clean(length: int, block_length: int) -> torch.Tensor:
    """Attention [2T, 2T] of x_t (+) x_0 (BD3LM): own noisy block, clean blocks before it."""
    block = torch.arange(length) // block_length
    own = block[:, None] == block[None, :]
    before = block[:, None] > block[None, :]
    nothing = torch.zeros_like(own)
    return torch.cat([torch.cat([own, before], 1), torch.cat([nothing, own | before], 1)], 0)


def bd3lm(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    block_length: int | None = None,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    level: float | None = None,
    prefix: int = 1,
) -> Problem:
    """Block diffusion: one noise level a block, x_t (+) x_0 in one pass (BD3LM eq. 8).

    block_length None draws one of BLOCK_LENGTHS for the batch, so that one model serves all.
    """
    rows, length = tokens.shape
    if block_length is None:
        block_length = BLOCK_LENGTHS[int(torch.randint(len(BLOCK_LENGTHS), (1,), generator=random))]
    noisy, weight = absorb(
        tokens, mask_id, random,
        block_length=block_length, masking=masking, low=low, noise_range=noise_range, level=level,
        prefix=prefix,
    )  # fmt: skip
    nothing = torch.zeros_like(noisy, dtype=torch.bool)
    return Problem(
        torch.cat([noisy, tokens], 1),
        torch.arange(length).repeat(2),
        noisy_and_clean(length, block_length),
        torch.cat([noisy == mask_id, nothing], 1),
        torch.cat([tokens, tokens], 1),
        torch.cat([weight, torch.zeros_like(weight)], 1),
        rows * (length - prefix),
    )


def edit(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    vocab_size: int,
    p_uniform: float = 0.15,
    block_length: int | None = None,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    level: float | None = None,
    prefix: int = 1,
) -> Problem:
    """Block diffusion that also learns to correct: LLaDA2.1's masks plus random tokens.

    As bd3lm, but a quarter of the blocks keep all their tokens, and of the tokens that a noisy
    block shows a share `p_uniform` is drawn at random (LLaDA2.1's T2T); every noisy position is
    asked for its token, weight 1/2 where one stands. No bound: the paper gives neither the rates
    nor the weights.
    """
    rows, length = tokens.shape
    clean = bd3lm(
        tokens, mask_id, random,
        block_length=block_length, masking=masking, low=low, noise_range=noise_range, level=level,
        prefix=prefix,
    )  # fmt: skip
    own = clean.attention[:length, :length]
    noisy = clean.inputs[:, :length]
    block = own.long().argmax(1)  # the first column of each column's block
    if level is None:
        whole = (torch.rand(rows, length, generator=random) < 0.25)[:, block]
        noisy = torch.where(whole, tokens, noisy)
    other = torch.randint(vocab_size - 1, tokens.shape, generator=random)
    other = other + (other >= mask_id)
    wrong = torch.rand(tokens.shape, generator=random) < p_uniform
    wrong[:, :prefix] = False
    masked = noisy == mask_id
    noisy = torch.where(wrong & ~masked, other, noisy)
    loss_mask = clean.loss_mask.clone()
    loss_mask[:, prefix:length] = True
    weight = clean.weight.clone()
    weight[:, :length] = torch.where(masked, weight[:, :length], 0.5)
    inputs = torch.cat([noisy, tokens], 1)
    return clean._replace(inputs=inputs, loss_mask=loss_mask, weight=weight)


def causal(length: int) -> torch.Tensor:
    """Attention [length, length]: everything up to the own column."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def ar(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    prefix: int = 1,
) -> Problem:
    """Next-token prediction: the exact NLL of all but the first `prefix` columns.

    Output j speaks of column j + 1, as every stock causal class expects. Nothing is masked or
    drawn: mask_id and random are there for the common form.
    """
    rows, length = tokens.shape
    loss_mask = torch.ones_like(tokens, dtype=torch.bool)
    loss_mask[:, : prefix - 1] = False
    loss_mask[:, -1] = False
    return Problem(
        tokens,
        torch.arange(length),
        causal(length),
        loss_mask,
        tokens.roll(-1, 1),
        torch.ones(tokens.shape),
        rows * (length - prefix),
    )


def drafts(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    block_length: int | None = None,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    prefix: int = 1,
) -> Problem:
    """Block diffusion as the block mode of a causal model answers: as bd3lm, but what stands before
    a block was read causally."""
    problem = bd3lm(
        tokens, mask_id, random,
        block_length=block_length, masking=masking, low=low, noise_range=noise_range, prefix=prefix,
    )  # fmt: skip
    length = tokens.shape[1]
    attention = problem.attention.clone()
    attention[length:, length:] = causal(length)
    return problem._replace(attention=attention)


def joint(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    block_weight: float = 0.3,
    block_length: int | None = None,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    prefix: int = 1,
) -> Problem:
    """One model that drafts and checks (arXiv:2607.05722): ar + block_weight * drafts in one pass.

    The clean half, which is the causal context of every noisy block, is scored for its next tokens,
    output j of column j + 1; the noisy half for its masked positions' own tokens.
    """
    blocks = drafts(
        tokens, mask_id, random,
        block_length=block_length, masking=masking, low=low, noise_range=noise_range, prefix=prefix,
    )  # fmt: skip
    following, length = ar(tokens, mask_id, random, prefix=prefix), tokens.shape[1]

    def both(noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        return torch.cat([noisy[:, :length], clean], 1)

    return blocks._replace(
        loss_mask=both(blocks.loss_mask, following.loss_mask),
        target=both(blocks.target, following.target),
        weight=both(block_weight * blocks.weight, following.weight),
    )


def quality_head(
    tokens: torch.Tensor,
    mask_id: int,
    random: torch.Generator,
    *,
    fills: int = 4,
    masking: str = "exact",
    low: float = T_LOW,
    noise_range: tuple[float, float] = WHOLE,
    level: float | None = None,
    prefix: int = 1,
) -> Filling:
    """Which masked positions of a noisy text the model fills, to learn which of its draws are right
    (PRISM, arXiv:2510.01384): `fills` a row at random, all where fewer are masked."""
    rows, length = tokens.shape
    noisy, _ = absorb(
        tokens, mask_id, random,
        block_length=length, masking=masking, low=low, noise_range=noise_range, level=level,
        prefix=prefix,
    )  # fmt: skip
    masked = noisy == mask_id
    key = torch.rand(rows, length, generator=random).masked_fill(~masked, 2.0)
    filled = masked & (key.argsort(1).argsort(1) < fills)
    chance = torch.rand(rows, length, generator=random, dtype=torch.float64)
    return Filling(tokens, noisy, filled, chance)


OBJECTIVES: dict[str, Callable[..., Problem | Blocks | Filling]] = {
    "mdlm": mdlm,
    "bd3lm": bd3lm,
    "hybrid": hybrid,
    "uniform": uniform,
    "edit": edit,
    "ar": ar,
    "joint": joint,
    "dflash": dflash,
    "quality_head": quality_head,
}
HEADED = ("dflash", "quality_head")  # those that train a part beside a model that stays as it is
BLOCKED = ("bd3lm", "edit")  # objectives of block-causal models
