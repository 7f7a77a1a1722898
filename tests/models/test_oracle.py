"""Oracle and table against brute force: every sequence listed, every posterior summed by hand."""

from itertools import pairwise, product

import pytest
import torch

from lab.models.exact.oracle import oracle
from lab.models.exact.table import table
from samplers.canvas import Canvas

torch.set_num_threads(1)

PI = [0.5, 0.3, 0.2]
A = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]
HIDDEN = ([0.6, 0.4], [[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
V, L, MASK = 3, 4, 3
SEQUENCES = torch.tensor(list(product(range(V), repeat=L)))
CANVASES = torch.tensor(list(product(range(V + 1), repeat=L)))


def chain_law(length=L):
    """p(x) of every sequence, factor by factor."""
    law = []
    for x in product(range(V), repeat=length):
        p = PI[x[0]]
        for before, after in pairwise(x):
            p *= A[before][after]
        law.append(p)
    return torch.tensor(law, dtype=torch.float64)


def hidden_law():
    """p(x) of every sequence, summed over every path of hidden states."""
    start, step, emission = HIDDEN
    law = []
    for x in SEQUENCES.tolist():
        total = 0.0
        for path in product(range(2), repeat=L):
            p = start[path[0]] * emission[path[0]][x[0]]
            for i in range(1, L):
                p *= step[path[i - 1]][path[i]] * emission[path[i]][x[i]]
            total += p
        law.append(total)
    return torch.tensor(law, dtype=torch.float64)


def kernel(corruption, t, p=0.1):
    """q(z | x) [V+1, V] of one token, up to a factor per z, from the published formulas."""
    if corruption == "absorbing":
        keep, spread = 1.0, 0.0
    elif t is None:
        keep, spread = 1 - p, p / V
    elif corruption == "hybrid":
        c = 2 * p / (1 - p) * (t * (1 - t)) ** 0.5
        keep, spread = (1 - t) / (1 + c), c / (1 + c) / V
    else:
        keep, spread = 1 - t, t / V
    seen = keep * torch.eye(V, dtype=torch.float64) + spread
    return torch.cat([seen, torch.ones(1, V, dtype=torch.float64)])


def brute(law, tokens, kernels, posterior, sequences=SEQUENCES):
    """p(x_i | canvas) [B, L, V] of tokens [B, L]: weigh every sequence, add up."""
    answer = torch.zeros(*tokens.shape, V, dtype=torch.float64)
    for i in range(tokens.shape[1]):
        weight = law.expand(len(tokens), -1)
        for j, q in enumerate(kernels):
            if posterior == "full" or j != i:
                weight = weight * q[tokens[:, j]][:, sequences[:, j]]
        for v in range(V):
            answer[:, i, v] = weight[:, sequences[:, i] == v].sum(-1)
    return answer / answer.sum(-1, keepdim=True)


def close(logits, expected):
    torch.testing.assert_close(logits[..., :V].softmax(-1).double(), expected, atol=1e-6, rtol=1e-5)


MODELS = {
    "chain": (lambda **noise: oracle(PI, A, length=L, **noise), chain_law),
    "hidden": (
        lambda **noise: oracle(*HIDDEN[:2], length=L, emission=HIDDEN[2], **noise),
        hidden_law,
    ),
    "table": (lambda **noise: table(SEQUENCES, chain_law(), **noise), chain_law),
}
TIMES = [("absorbing", None)] + [
    (corruption, t) for corruption in ("hybrid", "uniform") for t in (None, 0.05, 0.5, 0.95)
]


@pytest.mark.parametrize("posterior", ["full", "loo"])
@pytest.mark.parametrize(("corruption", "t"), TIMES)
@pytest.mark.parametrize("name", MODELS)
def test_posterior_of_every_canvas(name, corruption, t, posterior):
    make, law = MODELS[name]
    model = make(corruption=corruption, posterior=posterior)
    time = None if t is None else torch.full((len(CANVASES),), t)
    logits = model.denoise(CANVASES, time)
    kernels = [kernel(corruption, t)] * L
    close(logits, brute(law(), CANVASES, kernels, posterior))
    assert (logits[..., MASK] == -torch.inf).all()


@pytest.mark.parametrize("corruption", ["hybrid", "uniform"])
def test_full_is_loo_times_kernel(corruption):
    """F1: at a token, full lowered by log(1 + keep / spread) at that token is loo."""
    t = torch.full((len(CANVASES),), 0.3)
    full, loo = (
        oracle(PI, A, length=L, corruption=corruption, posterior=p).denoise(CANVASES, t)[..., :V]
        for p in ("full", "loo")
    )
    q = kernel(corruption, 0.3)
    gain = (q[0, 0] / q[0, 1]).log().float()
    own = torch.nn.functional.one_hot(CANVASES, V + 1)[..., :V]
    torch.testing.assert_close((full - gain * own).softmax(-1), loo.softmax(-1))
    assert not torch.allclose(full.softmax(-1), loo.softmax(-1), atol=0.05)


@pytest.mark.parametrize("make", [m for m, _ in MODELS.values()], ids=MODELS)
def test_pads_are_invisible_and_missing_columns_are_marginalised(make):
    """A row between pads answers as it does alone, whatever ids the pads hold."""
    model = make(corruption="hybrid")
    alone = torch.tensor([[MASK, 2, MASK]])
    tokens = torch.tensor([[1, 0, MASK, 2, MASK, 77], [MASK, 1, MASK, MASK, 0, 77]])
    visible = torch.tensor([[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 0]], dtype=torch.bool)
    canvas = Canvas(tokens, visible, visible, MASK)
    t = torch.tensor([0.4, 0.4])
    logits = model.open(canvas)(tokens, window=slice(0, 6), t=t)
    lone = model.denoise(alone, t[:1])
    torch.testing.assert_close(logits[0, 2:5], lone[0])
    torch.testing.assert_close(logits[1, 1:5], model.denoise(tokens[1:, 1:5], t[:1])[0])
    longer = torch.cat([alone, torch.tensor([[MASK]])], 1)
    torch.testing.assert_close(lone[0], model.denoise(longer, t[:1])[0, :3])


@pytest.mark.parametrize("name", MODELS)
def test_pinned_tokens_are_certain_under_hybrid_noise(name):
    make, law = MODELS[name]
    model = make(corruption="hybrid")
    tokens = torch.tensor([[2, MASK, 0, 1]])
    writable = torch.tensor([[False, True, True, False]])
    seen = torch.ones_like(writable)
    logits = model.open(Canvas(tokens, writable, seen, MASK))(
        tokens, window=slice(0, L), t=torch.tensor([0.5])
    )
    certain, noisy = kernel("absorbing", None), kernel("hybrid", 0.5)
    close(logits, brute(law(), tokens, [certain, noisy, noisy, certain], "full"))


def test_rows_and_window_pick_from_whole_answer():
    model = oracle(PI, A, length=L)
    seen = torch.ones_like(CANVASES, dtype=torch.bool)
    denoise = model.open(Canvas(CANVASES, seen, seen, MASK))
    rows = torch.arange(len(CANVASES)) % 3 == 0
    part = denoise(CANVASES, window=slice(1, 3), rows=rows)
    whole = model.denoise(CANVASES)
    torch.testing.assert_close(part[rows], whole[rows, 1:3])
    assert (part[~rows] == 0).all()


def remembers(model, more, p):
    """500 tokens of two states: each row says that one of them has `more` tokens than the other."""
    fewer = (500 - more) // 2
    tokens = torch.tensor([[0] * fewer + [1] * (500 - fewer), [0] * (500 - fewer) + [1] * fewer])
    logits = model.denoise(tokens)[..., :2].double()
    odds = torch.tensor((1 - p + p / 2) / (p / 2)).double().log() * more
    torch.testing.assert_close(
        logits[..., 1] - logits[..., 0],
        torch.stack([odds, -odds])[:, None].expand(2, 500),
        atol=1e-2, rtol=1e-5,
    )  # fmt: skip


def test_long_evidence_neither_underflows_nor_forgets():
    """Two states that never change, 200 tokens for one, then 300 for the other: 2000^100 to 1.

    A forward message kept as a probability would have lost the second state for good.
    """
    p = 0.001
    model = oracle([0.5, 0.5], [[1, 0], [0, 1]], length=500, corruption="hybrid", p_uniform=p)
    remembers(model, 100, p)


def test_long_evidence_of_table_neither_overflows_nor_forgets():
    """The same of two sequences: what each is worth is a factor of 2000^200 or more."""
    p, sequences = 0.001, torch.tensor([[0] * 500, [1] * 500])
    remembers(table(sequences, corruption="hybrid", p_uniform=p), 80, p)


def test_length_300_of_mixing_chain_is_finite_and_normalised():
    model = oracle(PI, A, length=300, corruption="hybrid")
    tokens = torch.randint(0, V + 1, (8, 300), generator=torch.Generator().manual_seed(0))
    logits = model.denoise(tokens, torch.full((8,), 0.2))[..., :V]
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(8, 300))
    # Far from the ends only near evidence counts: a window of 60 columns gives the same middle.
    near = oracle(PI, A, length=60, corruption="hybrid").denoise(
        tokens[:, 100:160], torch.full((8,), 0.2)
    )
    torch.testing.assert_close(logits[:, 130].exp(), near[:, 30, :V].exp(), atol=1e-5, rtol=1e-4)


LISTED = torch.tensor([[0, 1, 2, 0], [0, 1, 1, 1], [2, 2, 0, 1]])
LISTED_WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
FLOORED = torch.cat(
    [
        0.999 * torch.eye(V, dtype=torch.float64) + 0.001 / V,
        torch.ones(1, V, dtype=torch.float64),
    ]
)


@pytest.mark.parametrize("posterior", ["full", "loo"])
def test_table_floor_answers_only_where_nothing_is_possible(posterior):
    model = table(LISTED, LISTED_WEIGHTS, posterior=posterior)
    logits = model.denoise(CANVASES)
    assert not logits.isnan().any()
    exact, floor = (
        brute(LISTED_WEIGHTS, CANVASES, [q] * L, posterior, LISTED)
        for q in (kernel("absorbing", None), FLOORED)
    )
    possible = ~exact.isnan().any(-1, keepdim=True)
    assert possible.any() and not possible.all()
    close(logits, torch.where(possible, exact, floor))


def test_oracle_floor_where_token_cannot_follow():
    """0 must be followed by 1: after "0 0" the answer is finite, and rows beside it are exact."""
    model = oracle([0.5, 0.5], [[0, 1], [0.5, 0.5]], length=4)
    tokens = torch.tensor([[0, 0, 2, 2], [0, 2, 2, 2]])
    chances = model.denoise(tokens)[..., :2].softmax(-1)
    assert torch.isfinite(chances).all()
    torch.testing.assert_close(chances[1, 1], torch.tensor([0.0, 1.0]))
    assert chances[0, 0, 0] == pytest.approx(0.5, abs=0.17)  # either of the two may be the error
    alone = model.denoise(tokens[1:])[0, :, :2].softmax(-1)
    torch.testing.assert_close(chances[1], alone)


def test_guidance_between_impossible_tokens_is_number():
    writable = torch.tensor([[False, True, True, False]])
    tokens = torch.tensor([[0, MASK, 1, 2]])
    denoise = oracle([1, 0, 0], A, length=L).open(Canvas(tokens, writable, writable | True, MASK))
    logits = denoise(tokens, window=slice(0, L), guidance=2.0)
    assert not logits.isnan().any() and torch.isfinite(logits[..., :V]).all()


def test_absorbing_ignores_time_and_hybrid_uses_it():
    t = torch.full((len(CANVASES),), 0.3)
    absorbing, hybrid = (oracle(PI, A, length=L, corruption=c) for c in ("absorbing", "hybrid"))
    assert torch.equal(absorbing.denoise(CANVASES), absorbing.denoise(CANVASES, t))
    assert not torch.allclose(hybrid.denoise(CANVASES, t), hybrid.denoise(CANVASES, t + 0.3))
