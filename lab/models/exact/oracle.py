"""The oracle: a Markov chain or hidden Markov model whose exact posterior plays the network.

Data x of length L from a chain, seen through per-token noise, is an HMM; forward-backward gives
p(x_i | canvas) exactly in O(L V^2) a row, vectorised over rows, in log space (length 500 works).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lab.models.exact.base import Exact, describe, distribution
from lab.models.model import Model, ModelCard


def oracle(
    initial: Any,
    transition: Any,
    *,
    length: int = 64,
    emission: Any = None,
    corruption: str = "absorbing",
    posterior: str = "full",
    p_uniform: float = 0.1,
    vocabulary: Sequence[str] | None = None,
    eos_id: int | None = None,
    draft_length: int | None = None,
) -> Model:
    """Make the exact denoiser of a Markov chain, or of an HMM where `emission` [S, V] is given.

    initial [S], transition [S, S] (rows sum to 1; S = V without emission). Token ids 0..V-1,
    mask id V, logits = log posterior [B, W, V+1]. corruption: absorbing, hybrid (the marginal of
    GIDD at `t`; without `t` a standing token is noise with chance p_uniform) or uniform
    (alpha = 1 - t). posterior: full (knows the token's own value) or loo (leaves it out).
    vocabulary: V names give it a tokenizer. draft_length: it reads from left to right only, as a
    causal model does, and fills blocks of that length by their exact marginals: as a draft model
    would (dflash), and in a block mode of its own (self_speculation).
    ValueError: rule, value, way out.
    """
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"length must be a whole number of at least 1, got {length!r}")
    start = distribution("initial", initial, (None,))
    step = distribution("transition", transition, (len(start), len(start)))
    seen = None if emission is None else distribution("emission", emission, (len(start), None))
    size = len(start) if seen is None else seen.shape[1]
    card, words = describe(
        "oracle", size, length, corruption, posterior, p_uniform, vocabulary, eos_id,
        draft_length,
    )  # fmt: skip
    return Oracle(card, words, start, step, seen)


class Oracle(Exact):
    """A chain with `initial` [S], `transition` [S, S] and `emission` [S, V] (None: states seen)."""

    def __init__(
        self, card: ModelCard, words: Sequence[str] | None, initial: Tensor, transition: Tensor,
        emission: Tensor | None,
    ):  # fmt: skip
        super().__init__(card, words)
        self.initial, self.transition, self.emission = initial, transition, emission
        self._seen = torch.eye(len(initial), dtype=torch.float64) if emission is None else emission

    def cells(self, columns: int) -> int:
        """Messages, evidence and answers of one row."""
        return columns * (3 * len(self.initial) + self._seen.shape[1])

    def scores(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice,
        own: bool,
    ) -> Tensor:  # fmt: skip
        """Forward times backward message, times the column's own evidence."""
        others = self._others(tokens, visible, keep, spread, window)
        if not own:
            return others
        same = torch.arange(others.shape[-1]) == tokens[:, window, None]
        return others + (keep[:, window, None] * same + spread[:, window, None]).log()

    def _others(
        self, tokens: Tensor, visible: Tensor, keep: Tensor, spread: Tensor, window: slice
    ) -> Tensor:
        """Log p(x_i = v, evidence elsewhere) [B, W, V]: forward times backward message."""
        ids = tokens.T.clamp(0, self._seen.shape[1] - 1)
        evidence = keep.T[..., None] * self._seen.T[ids] + spread.T[..., None]  # [T, B, S]
        start, end = self.initial, torch.ones_like(self.initial)
        forward = _messages(start, evidence, visible.T, self.transition)[window]
        backward = _messages(end, evidence.flip(0), visible.T.flip(0), self.transition.T)
        states = (forward + backward.flip(0)[window]).transpose(0, 1)
        if self.emission is None:
            return states
        return _log_matmul(states.flatten(0, 1), self.emission).view(*states.shape[:2], -1)


def _messages(start: Tensor, evidence: Tensor, visible: Tensor, step: Tensor) -> Tensor:
    """Log of what the columns before each one say of its state [T, B, S], up to a constant a row.

    visible [T, B]: a pad passes the message on as it came, so the chain starts at the first
    visible column.
    """
    message = start.expand(evidence.shape[1], -1)
    messages = []
    for seen, stands in zip(evidence, visible, strict=True):
        messages.append(message)
        joint = message * seen
        top = joint.amax(-1, keepdim=True)
        onward = joint / torch.where(top == 0, 1.0, top) @ step
        message = torch.where(stands[:, None], onward, message)
    result = torch.stack(messages)
    if _below(result, 1e-200) or _below(evidence, 1e-100) or _below(step, 1e-20):
        # A state may have been lost here that later evidence yet prefers.
        return _messages_in_logs(start, evidence, visible, step)
    return result.log()


def _messages_in_logs(start: Tensor, evidence: Tensor, visible: Tensor, step: Tensor) -> Tensor:
    """The same without a limit to how unlikely a state may be, and slower."""
    message = start.log().expand(evidence.shape[1], -1)
    messages = []
    for seen, stands in zip(evidence.log(), visible, strict=True):
        messages.append(message)
        message = torch.where(stands[:, None], _log_matmul(message + seen, step), message)
    return torch.stack(messages)


def _below(values: Tensor, least: float) -> bool:
    """Whether one of them is smaller than `least` and not 0."""
    return bool(((values > 0) & (values < least)).any())


def _log_matmul(log_left: Tensor, right: Tensor) -> Tensor:
    """log(exp(log_left) @ right), [B, S] by [S, K]; -inf stays -inf."""
    top = log_left.amax(-1, keepdim=True)
    top = torch.where(top == -torch.inf, 0.0, top)
    shifted = log_left - top
    if bool(((shifted == -torch.inf) | (shifted > -600)).all()):
        return (shifted.exp() @ right).log() + top
    # exp would lose a state here that later evidence may yet prefer: the slow, exact sum.
    return (shifted[..., None] + right.log()).logsumexp(-2) + top
