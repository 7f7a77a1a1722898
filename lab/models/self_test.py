"""Test that a model, once loaded, attends where its card says: the class is asked, not trusted
(docs/laws.md P8)."""

import torch

from lab.models.errors import ModelError
from lab.models.model import Model, Opened
from samplers.canvas import Canvas

TOLERANCE = 1e-3  # of logits, where a change must not show: bf16 rounds the same numbers alike
QUESTIONS = 3  # texts that it is asked about, another token changed in each
PADS = 3
BLOCK = 4  # columns of a block where the model has none of its own


def check_attention(model: Model) -> str:
    """Ask the model about a few made-up texts, change one token and see which answers change.

    full: the answer at a masked first column changes with the last column. block_causal: it
    changes within its block and not with a later one. causal: not with its own column or a later
    one. Pads: never.

    Returns "" where the model passed, else a sentence that says why it could not be asked: fewer
    than two tokens to make texts of, or too short a context. ModelError: it attends where it must
    not, does not attend where it must, or answers with NaN.
    """
    card = model.card
    tokens = ordinary_tokens(model)
    block = (card.block_lengths or (BLOCK,))[-1] if card.attention == "block_causal" else BLOCK
    pads = block if card.attention == "block_causal" else PADS  # a row's first token begins a block
    if reason := unanswerable(model, tokens, 2 * block + pads):
        return f"the attention of {card.name} was not tested: {reason}"
    test = _Test(model, block, pads)
    later = inside = padded = 0.0
    for number, text in enumerate(_texts(tokens, 2 * block)):
        base = test.answer(text)
        if not torch.isfinite(base).all():
            raise ModelError(
                f"{card.name} answers with numbers that are not finite; its weights are broken, "
                "or dtype is too narrow for them"
            )
        later = max(later, test.change(tokens, text, 2 * block - 1, base))
        if card.attention == "block_causal":
            inside = max(inside, test.change(tokens, text, block - 1, base))
        if card.attention == "causal":
            later = max(later, test.change(tokens, text, test.first, base))
        if number == 0:
            first, second = test.answer(text, tokens[0]), test.answer(text, tokens[-1])
            padded = float((first - second).abs().max())
    _judge(card.name, card.attention, later, inside, padded)
    return ""


def ordinary_tokens(model: Model) -> list[int]:
    """Ids that stand for text: neither special nor banned."""
    card = model.card
    special = {card.mask_id, card.pad_id, card.bos_id, *card.eos_ids, *model.banned_ids}
    return [i for i in range(card.vocab_size) if i not in special]


def unanswerable(model: Model, tokens: list[int], columns: int) -> str:
    """Why no question of that many columns can be asked; "" where one can."""
    if len(tokens) < 2:
        return f"a changed text takes two tokens that are not special, it has {len(tokens)}"
    if columns > model.card.context:
        return f"a question takes {columns} columns, its context is {model.card.context}"
    return ""


class _Test:
    """Texts of 2 * block columns, asked about their first column (causal: their second)."""

    def __init__(self, model: Model, block: int, pads: int):
        self.model, self.block, self.pads = model, block, pads
        self.first = 1 if model.card.attention == "causal" else 0
        # What a masked model is trained to answer: a masked position among tokens.
        absorbing = model.card.corruption == "absorbing" and self.first == 0
        self.mask = model.card.mask_id if absorbing else None

    def answer(self, text: list[int], pad: int | None = None) -> torch.Tensor:
        """Logits [1, 1, V] at the column asked about, banned ids at 0; `pad` fills the pads."""
        card, left = self.model.card, 0 if pad is None else self.pads
        ids = text if self.mask is None else [self.mask, *text[1:]]
        tokens = torch.tensor([[pad or 0] * left + ids])
        visible = torch.ones_like(tokens, dtype=torch.bool)
        visible[:, :left] = False
        canvas = Canvas(tokens, visible, visible, card.mask_id)
        length = self.block if card.attention == "block_causal" else None
        opened = Opened(self.model, canvas, length, caches=False)
        t = torch.full((1,), 0.5, device=self.model.device) if card.time_conditioned else None
        window = slice(left + self.first, left + len(ids))
        logits = opened(opened.canvas.tokens, window=window, t=t)[:, :1].cpu()
        return logits.masked_fill(logits == -torch.inf, 0.0)  # NaN stays

    def change(self, tokens: list[int], text: list[int], place: int, base: torch.Tensor) -> float:
        """How far the answer moves from `base` where another token stands at that place."""
        old = tokens.index(text[place])
        other = tokens[(old + 1 + text[0] % (len(tokens) - 1)) % len(tokens)]  # never `old`
        changed = [*text[:place], other, *text[place + 1 :]]
        return float((self.answer(changed) - base).abs().max())


def _texts(tokens: list[int], columns: int) -> list[list[int]]:
    """Texts of ordinary tokens, spread over the vocabulary."""
    random = torch.Generator().manual_seed(0)
    return [
        [tokens[i] for i in torch.randint(len(tokens), (columns,), generator=random).tolist()]
        for _ in range(QUESTIONS)
    ]


def _judge(name: str, attention: str, later: float, inside: float, padded: float) -> None:
    """later, inside: the largest change of an answer by a token that comes later and by one of its
    own block; padded: by what stands in pads."""
    wrong = None
    if attention == "full" and later == 0:
        wrong = "does not attend to the right"
    elif attention != "full" and later > TOLERANCE:
        wrong = "attends to what comes later"
    elif attention == "block_causal" and inside == 0:
        wrong = "does not attend to the right within a block"
    elif padded > TOLERANCE:
        wrong = "attends to padding"
    if wrong:
        raise ModelError(
            f"{name} {wrong}, but its attention is {attention}: its class builds a mask of its "
            "own; load it with its own code, or wrap it by lab.wrap"
        )
