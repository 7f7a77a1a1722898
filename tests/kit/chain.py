"""The reference chain of the exact tests: V = 3, L = 4, all 81 sequences, entropy 3.50701 nats."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest
import torch

import samplers
from lab.models import Model
from lab.models.exact.oracle import oracle
from lab.study.enumeration import Law, exact_law

PI = [0.5, 0.3, 0.2]
A = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]
MASK = 3
BLANK = [MASK] * 4
SEQUENCES = torch.tensor(list(product(range(3), repeat=4)))
DATA = torch.tensor(
    [PI[a] * A[a][b] * A[b][c] * A[c][d] for a, b, c, d in SEQUENCES.tolist()], dtype=torch.float64
)


def chain(length: int = 4, **noise: Any) -> Model:
    """The exact model of the chain."""
    return oracle(PI, A, length=length, **noise)


def following(tokens: torch.Tensor) -> torch.Tensor:
    """Logits of the chain at each column, given the token left of it."""
    chances = torch.tensor([*A, PI]).log()[tokens.roll(1, 1)]
    chances[:, 0] = torch.tensor(PI).log()
    return torch.nn.functional.pad(chances, (0, 1))


def drafted(kind: str, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of what drafts with confidence: `good` writes the greedy text, `bad` always the least
    likely token after its own, `random` a hash of the text."""
    x, answer = tokens.clone(), torch.zeros(*tokens.shape, MASK + 1)
    for column in range(1, tokens.shape[1]):
        own = following(x)[:, column, :MASK]
        token = own.argmin(-1) if kind == "bad" else own.argmax(-1)
        if kind == "random":
            token = ((tokens + 1) * torch.arange(3, 3 + tokens.shape[1]) + column**2).sum(-1) % MASK
        answer[torch.arange(len(x)), column, token] = 9.0
        x[:, column] = torch.where(x[:, column] == MASK, token, x[:, column])
    return answer


def law_of(
    name: str,
    model: Model | None = None,
    row: list[int] = BLANK,
    count_calls: bool = False,
    join: bool = True,
    **values: Any,
) -> Law:
    """The exact distribution of a run of the sampler `name` from the canvas `row`."""
    return exact_law(
        samplers.get(name), model or chain(), row, count_calls=count_calls, join=join, **values
    )


def distance(law: Law, target: torch.Tensor = DATA) -> float:
    """Total variation to the data."""
    return law.distance(SEQUENCES, target)


def close(value: float) -> Any:
    """Equal to the four digits of the reference values."""
    return pytest.approx(value, abs=1e-4)


# What the samplers should do, computed apart from them: by enumeration of all canvases.


def posterior(weights: torch.Tensor, size: int) -> torch.Tensor:
    """The marginals [L, 3] of sequences [3^L] under unnormalised weights."""
    table = weights.view([3] * size)
    rest = [tuple(j for j in range(size) if j != i) for i in range(size)]
    marginals = torch.stack([table.sum(axes) if axes else table for axes in rest])
    return marginals / marginals.sum(-1, keepdim=True)


def law_of_order(choose: Callable[[torch.Tensor, list[int], int], list[int]]) -> torch.Tensor:
    """The law [81] of a sampler that fills, call by call, the positions that `choose` names.

    `choose(marginals [4, 3], masked positions, call number)` sees the model's answer alone.
    """
    law = torch.zeros(81, dtype=torch.float64)

    def fill(canvas: tuple[int, ...], chance: float, call: int) -> None:
        masked = [i for i in range(4) if canvas[i] == MASK]
        if not masked:
            law[int((torch.tensor(canvas) * torch.tensor([27, 9, 3, 1])).sum())] += chance
            return
        marginals = marginals_of(canvas)
        places = choose(marginals, masked, call)
        for tokens in product(range(3), repeat=len(places)):
            line = list(canvas)
            for place, token in zip(places, tokens, strict=True):
                line[place] = token
            weight = float(torch.stack([marginals[i, line[i]] for i in places]).prod())
            fill(tuple(line), chance * weight, call + 1)

    fill((MASK,) * 4, 1.0, 0)
    return law


def marginals_of(canvas: Sequence[int]) -> torch.Tensor:
    """The marginals [4, 3] of the chain given what is written, by enumeration."""
    observed = torch.tensor(canvas)
    return posterior(DATA * ((observed == MASK) | (observed == SEQUENCES)).all(-1), 4)


def doubt(canvas: Sequence[int], p: float = 0.9) -> torch.Tensor:
    """The marginals [4, 3] of a model that takes every written token for noise with chance p."""
    weights = DATA.clone()
    for i, token in enumerate(canvas):
        if token != MASK:
            weights *= (1 - p) * (SEQUENCES[:, i] == token) + p / 3
    return posterior(weights, 4)


class Doubtful:
    """That model: masks are all its noise by its card, and it doubts what is written."""

    def __init__(self, p: float = 0.9, **facts: Any):
        self.model = chain(corruption="hybrid", p_uniform=p)
        self.card = replace(self.model.card, corruption="absorbing", **facts)

    def open(self, canvas: Any, block_length: int | None = None) -> Any:
        denoise = self.model.open(canvas, block_length)
        denoise.card = self.card
        return denoise


Canvases = list[tuple[float, tuple[int, ...]]]  # chances of the next canvases


def law_of_walk(
    calls: int,
    follow: Callable[[tuple[int, ...], torch.Tensor, dict[int, int], int], Canvases],
    *,
    redraw: bool = False,
) -> torch.Tensor:
    """The law [81] of a sampler without memory on `Doubtful`, at temperature 1.

    `follow(canvas, marginals [4, 3], {position: token drawn}, call)` gives the next canvases; a
    token is drawn at every masked position, with `redraw` at every position.
    """
    law = {(MASK,) * 4: 1.0}
    for call in range(calls):
        after: dict[tuple[int, ...], float] = {}
        for canvas, chance in law.items():
            marginals = doubt(canvas)
            places = [i for i in range(4) if redraw or canvas[i] == MASK]
            for tokens in product(range(3), repeat=len(places)):
                drawn = dict(zip(places, tokens, strict=True))
                weight = chance * math.prod(float(marginals[i, v]) for i, v in drawn.items())
                for share, line in follow(canvas, marginals, drawn, call):
                    after[line] = after.get(line, 0.0) + weight * share
        law = after
    return torch.tensor([law.get(tuple(line), 0.0) for line in SEQUENCES.tolist()])


def law_of_noise(
    times: Sequence[float],
    masses: Callable[[float], tuple[float, float, float]],
    kappa: Callable[[float, float], float] = lambda t, s: 1.0,
) -> torch.Tensor:
    """The law [81] of the exact reverse process on a grid of times, by matrices of its kernel.

    masses(t): alpha, what is on the mask, and what is spread over the three tokens. The product of
    sum_x r(x) q(z_s | z_t, x) over positions, r given all but the position's own token; of which
    1 - kappa(t, s) is replaced by sum_x p(x) q(z_s | x), p given all tokens (Psi-samplers).
    """
    size = 4 if masses(times[0])[1] else 3
    states = torch.tensor(list(product(range(size), repeat=4)))
    _, mask, uniform = masses(times[0])
    prior = torch.tensor([uniform / 3] * 3 + [mask], dtype=torch.float64)[:size]
    law = (prior / prior.sum())[states].prod(-1)
    for t, s in pairwise(times):
        forward_t, forward_s = _forward(*masses(t), size), _forward(*masses(s), size)
        step = _step(masses(t), masses(s), size)
        after = torch.zeros_like(law)
        for state, chance in zip(states, law, strict=True):
            if chance < 1e-15:
                continue
            seen = forward_t[SEQUENCES, state]  # [81, 4]: q(z_t | x) at each position
            kernel = torch.ones(1, dtype=torch.float64)
            for i in range(4):
                others = DATA * seen[:, [j for j in range(4) if j != i]].prod(-1)
                clean = torch.stack([others[SEQUENCES[:, i] == v].sum() for v in range(3)])
                to = (clean / clean.sum()) @ forward_s * step[:, state[i]]
                full = clean * forward_t[:, state[i]]
                share, again = kappa(t, s), (full / full.sum()) @ forward_s
                kernel = kernel[:, None] * (share * to / to.sum() + (1 - share) * again)
                kernel = kernel.flatten()
            after += chance * kernel
        law = after
    return law[(states < MASK).all(-1)]


def _forward(alpha: float, mask: float, uniform: float, size: int) -> torch.Tensor:
    """q(z | x) [3, size]."""
    table = torch.full((3, size), uniform / 3, dtype=torch.float64)
    table[:, :3] += alpha * torch.eye(3, dtype=torch.float64)
    if size > 3:
        table[:, MASK] = mask
    return table


def _step(now: Sequence[float], then: Sequence[float], size: int) -> torch.Tensor:
    """q(z_t = column | z_s = row) [size, size] between two times of one process."""
    stay = now[0] / then[0]
    table = torch.full((size, size), (now[2] - stay * then[2]) / 3, dtype=torch.float64)
    if size > 3:
        table[:, MASK] = now[1] - stay * then[1]
    return table + stay * torch.eye(size, dtype=torch.float64)
