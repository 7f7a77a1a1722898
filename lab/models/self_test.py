"""See that a model, once loaded, looks where its card says: the class is asked, not trusted
(P8)."""

import torch

from lab.models.model import Model, Opened
from samplers.canvas import Canvas

TOLERANCE = 1e-3  # of logits, where a change must not show: bf16 rounds the same numbers alike


def prove_attention(model: Model) -> None:
    """Run the model on a dozen made-up tokens. ValueError where it looks where it must not, or
    does not look where it must.

    full: an early answer changes with the last column. block_causal: it changes within its block
    and not with a later one. causal: not with its own column or a later one. Pads: never.
    """
    card = model.card
    block = (card.block_lengths or (4,))[-1] if card.attention == "block_causal" else 4
    pads, length = 3, 2 * block
    special = _special(model)
    spare = [i for i in range(card.vocab_size) if i not in special]
    ids = [spare[(7 * i + 3) % len(spare)] for i in range(length)]
    other = spare[len(spare) // 2]
    start = 1 if card.attention == "causal" else 0

    def answer(ids: list[int], pad: int | None = None) -> torch.Tensor:
        left = 0 if pad is None else _left(card.attention, block, pads)
        tokens = torch.tensor([[pad or 0] * left + ids])
        visible = torch.ones_like(tokens, dtype=torch.bool)
        visible[:, :left] = False
        canvas = Canvas(tokens, visible, visible, card.mask_id)
        blocks = block if card.attention == "block_causal" else None
        opened = Opened(model, canvas, blocks, caches=False)
        t = torch.full((1,), 0.5) if card.time_conditioned else None
        logits = opened(tokens, window=slice(left + start, left + length), t=t)
        logits = logits[:, :1]
        return logits.masked_fill(logits == -torch.inf, 0.0)  # banned ids; NaN stays

    def moved(place: int) -> float:
        changed = [other if i == place else token for i, token in enumerate(ids)]
        return float((answer(changed) - base).abs().max())

    base = answer(ids)
    if not torch.isfinite(base).all():
        raise ValueError(f"{card.name} answers with numbers that are not finite; its weights are "
                         "broken, or dtype is too narrow for them")  # fmt: skip
    last, inner = moved(length - 1), moved(block - 1)
    if card.attention == "causal":
        last = max(last, moved(start))
    padded = float((answer(ids, spare[1]) - answer(ids, other)).abs().max())
    wrong = None
    if card.attention == "full" and last == 0:
        wrong = "does not look to the right"
    elif card.attention != "full" and last > TOLERANCE:
        wrong = "looks into what comes later"
    elif card.attention == "block_causal" and inner == 0:
        wrong = "does not look to the right within a block"
    elif padded > TOLERANCE:
        wrong = "looks at pads"
    if wrong:
        raise ValueError(
            f"{card.name} {wrong}, but its attention is {card.attention}: its class builds a mask "
            "of its own; load it with its own code, or wrap it by lab.wrap"
        )


def _special(model: Model) -> set[int | None]:
    card = model.card
    return {card.mask_id, card.pad_id, card.bos_id, *card.eos_ids, *model.banned_ids}


def _left(attention: str, block: int, pads: int) -> int:
    """How many pads: whole blocks where a row's first token begins one."""
    return block if attention == "block_causal" else pads
