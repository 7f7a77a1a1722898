"""Noise by counters: uniform, independent streams, draws by inverse CDF that lose no tail."""

import math

import pytest
import torch
from scipy.stats import chisquare, kstest

from samplers import noise as noises
from samplers.noise import BELOW_ONE, Noise, choose, coin, inverse_cdf

torch.set_num_threads(1)
EVERY = torch.ones(1, 50_000, dtype=torch.bool)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_noise_is_uniform_in_open_interval():
    for seed in (0, 1, 2**63 - 1):
        u = Noise(seed, [0]).uniform(EVERY)
        assert u.dtype == torch.float64 and u.min() > 0 and u.max() < 1
        assert kstest(u[0], "uniform").pvalue > 1e-4
        lagged = torch.corrcoef(torch.stack([u[0, :-1], u[0, 1:]]))[0, 1]
        assert abs(lagged) < 0.02 and len(u.unique()) == u.numel()


@pytest.mark.parametrize("bits", [0, -1])
def test_no_bits_reach_either_end_of_interval(bits, monkeypatch):
    noise = Noise(0, [0])
    noise.uniform(EVERY[:, :1])
    monkeypatch.setattr(noises, "_mix", lambda z: torch.full_like(z, bits))
    for cells in (EVERY, EVERY[:, :1]):  # more and less than a CPU makes ahead
        u = noise.uniform(cells)
        noise._ahead.clear()
        assert u.min() > 0 and u.max() < 1 and torch.minimum(u, 1 - u).max() < 1e-15


def test_noise_of_row_does_not_depend_on_its_neighbours():
    where = random(100, 7) > 0
    batch = Noise(3, range(100))
    together = torch.stack([batch.uniform(where) for _ in range(4)])
    for row in (0, 1, 57, 99):
        alone = Noise(3, [row])
        for turn in range(4):
            assert torch.equal(alone.uniform(where[row : row + 1])[0], together[turn, row])


def test_waiting_row_resumes_its_stream():
    noise, steady = Noise(0, [0, 1]), Noise(0, [0, 1])
    first = noise.uniform(torch.tensor([True, False]))
    second = noise.uniform(torch.tensor([True, True]))
    plain = [steady.uniform(torch.tensor([True, True])) for _ in range(2)]
    assert first[0] == plain[0][0] and second[0] == plain[1][0] and second[1] == plain[0][1]
    assert first[1] == 0.5


def test_numbers_made_ahead_are_those_of_their_place():
    where = random(500, 9) > 0
    one, all_at_once = Noise(5, [3, 8]), Noise(5, [3, 8])
    several = torch.cat([one.uniform(line.view(1, -1).expand(2, -1)) for line in where], 1)
    whole = all_at_once.uniform(where.view(1, -1).expand(2, -1))
    assert where.numel() > noises.AHEAD // 4 and len(one._ahead) == 1 > len(all_at_once._ahead)
    assert torch.equal(several, whole)
    # Wide and narrow draws in turn: more in all than is made at once.
    mixed, widths = Noise(5, [3, 8]), (9, noises.AHEAD // 8) * 5
    steps = [mixed.uniform(torch.ones(2, width, dtype=torch.bool)) for width in widths]
    every = torch.ones(2, sum(widths), dtype=torch.bool)
    assert torch.equal(torch.cat(steps, 1), Noise(5, [3, 8]).uniform(every))


def test_seed_row_and_purpose_give_independent_streams():
    streams = [
        Noise(seed, [row]).uniform(EVERY[:, :500], purpose)[0]
        for seed in (0, 1, 2) for row in (0, 1, 2) for purpose in ("draw", "time", "position")
    ]  # fmt: skip
    assert len(torch.cat(streams).unique()) == len(streams) * 500
    correlation = torch.corrcoef(torch.stack(streams)) - torch.eye(len(streams))
    assert correlation.abs().max() < 0.25


def test_purposes_do_not_advance_each_other():
    busy, calm = Noise(4, [0]), Noise(4, [0])
    busy.uniform(EVERY[:, :9], "position")
    assert torch.equal(busy.uniform(EVERY[:, :5]), calm.uniform(EVERY[:, :5]))


def test_empty_draw_does_not_advance_stream():
    noise = Noise(0, [0, 1])
    assert noise.uniform(torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)
    noise.uniform(torch.zeros(2, 5, dtype=torch.bool))
    assert torch.equal(noise.uniform(EVERY[:, :2].view(2, 1)),
                       Noise(0, [0, 1]).uniform(EVERY[:, :2].view(2, 1)))  # fmt: skip


@pytest.mark.parametrize(("size", "count"), [(50, 200_000), (157_184, 1_500)])
def test_draws_follow_softmax(size, count):
    p = (2 * random(size)).softmax(-1)
    rows = p.expand(min(count, 5_000_000 // size), -1)
    u = Noise(0, [0]).uniform(torch.ones(1, count, dtype=torch.bool))[0]
    drawn = torch.cat([inverse_cdf(rows[: len(some)], some) for some in u.split(len(rows))])
    order = p.double().argsort(descending=True)
    bins = torch.empty(size, dtype=torch.int64)
    bins[order] = (p.double()[order].cumsum(0) * 40).long().clamp(max=39)  # about equal mass
    expected = torch.zeros(40).double().index_add_(0, bins, p.double()) * count
    seen = bins[drawn].bincount(minlength=40).double()
    used = expected > 5
    assert used.sum() >= 8
    expected = expected[used] * seen[used].sum() / expected[used].sum()
    assert chisquare(seen[used], expected).pvalue > 1e-4


def test_zero_weight_is_never_drawn():
    weights = torch.zeros(1, 1000)
    weights[0, ::7] = 1.0
    for u in (1e-16, 0.5, 1 - 1e-16, *torch.linspace(0, 1, 300).tolist()[1:-1]):
        assert inverse_cdf(weights, torch.tensor([u], dtype=torch.float64)) % 7 == 0
    lone = torch.zeros(1, 999)
    lone[0, 998] = 1e-30
    assert inverse_cdf(lone, torch.tensor([0.5]).double()) == 998


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000])
def test_ends_of_u_give_first_and_last_token(size):
    weights = torch.full((3, size), 1 / size)
    ends = torch.tensor([0.0, math.ulp(0.0), math.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert inverse_cdf(weights, ends).tolist() == [0, 0, size - 1]
    if size > 2:
        weights[:, 0] = weights[:, -1] = 0
        assert inverse_cdf(weights, ends).tolist() == [1, 1, size - 2]


def test_equal_weights_share_u_equally():
    middle = (torch.arange(1000).double() + 0.5) / 1000
    assert inverse_cdf(torch.ones(1000, 1000), middle).tolist() == list(range(1000))


def test_one_hot_weights_are_certain():
    weights = torch.eye(300)
    for u in (1e-300, 0.3, math.nextafter(1.0, 0.0)):
        drawn = inverse_cdf(weights, torch.full((300,), u, dtype=torch.float64))
        assert drawn.tolist() == list(range(300))


def test_scale_of_weights_does_not_matter():
    weights, u = random(40, 700).exp(), Noise(0, [0]).uniform(EVERY[:, :40])[0]
    for scale in (1e-20, 3.0, 1e20):
        assert torch.equal(inverse_cdf(weights, u), inverse_cdf(weights * scale, u))


def test_tail_beyond_float32_is_drawn():
    # 1 + 1e-9 is 1 in float32: its sums would give the last token no room at all.
    for size in (2, 300):
        weights = torch.zeros(1, size)
        weights[0, 0], weights[0, -1] = 1.0, 1e-9
        u = torch.tensor([1 - 1e-10], dtype=torch.float64)
        assert inverse_cdf(weights, u) == size - 1
    # The same within one of the chunks that are summed first.
    weights[0, 0], weights[0, -1], weights[0, 1] = 1.0, 1e-5, 1e-9
    assert inverse_cdf(weights, torch.tensor([1 - 0.99 * 1e-5 - 1e-9]).double()) == 299


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_zero_or_infinite_weights_are_error(bad):
    weights = torch.ones(3, 20)
    weights[1] = bad
    with pytest.raises(ValueError, match="all zero or not finite"):
        inverse_cdf(weights, torch.full((3,), 0.5).double())
    assert inverse_cdf(weights[:0], torch.zeros(0)).shape == (0,)


def test_number_times_below_one_is_smaller():
    assert math.nextafter(1.0, 0.0) == BELOW_ONE
    x = random(100_000).double().exp() * 10.0 ** torch.arange(-40, 60).double().repeat(1000)
    edges = torch.tensor([1.0, math.nextafter(1.0, 2.0), math.nextafter(2.0, 0.0), 2.0]).double()
    for each in (x, edges, edges * 2.0**-70):
        assert (each * BELOW_ONE < each).all()


@pytest.mark.parametrize("stay", [0.0, 0.3, 0.999])
def test_reveal_opens_by_chance_and_draws_by_weight(stay):
    weights, rows = torch.tensor([0.0, 0.5, 0.2, 0.3]), 200_000
    where, sizes = torch.ones(rows, 2, dtype=torch.bool), []
    where[:, 1] = False

    def weigh(logits):
        sizes.append(len(logits))
        return logits.exp() * 7  # any scale

    logits = weights.log().expand(rows, 2, -1)
    ids = Noise(3, range(rows)).reveal(logits, where, weigh, stay)
    assert (ids[:, 1] == -1).all() and sizes == [int((ids >= 0).sum())]
    share = torch.bincount(ids[:, 0] + 1, minlength=5) / rows
    target = torch.tensor([stay, *((1 - stay) * weights).tolist()])
    assert share[1] == 0 and (share - target).abs().max() < 4 * 0.5 / rows**0.5


def test_reveal_with_stay_one_opens_nothing():
    where = torch.ones(2, 3, dtype=torch.bool)
    assert (Noise(3, range(2)).reveal(torch.zeros(2, 3, 5), where, torch.exp, 1.0) == -1).all()


def test_choose_draws_every_set_equally_often():
    where = torch.tensor([[True, True, False, True, True]]).expand(6000, -1)
    marked = choose(where, torch.full((6000,), 2), Noise(0, range(6000)))
    assert (marked.sum(-1) == 2).all() and not (marked & ~where).any()
    kinds = (marked * torch.tensor([1, 2, 4, 8, 16])).sum(-1)
    seen = kinds.unique(return_counts=True)[1]
    assert len(seen) == 6 and chisquare(seen).pvalue > 1e-4
    more = choose(where[:3], torch.tensor([0, 4, 99]), Noise(0, range(3)))
    assert more.sum(-1).tolist() == [0, 4, 4]


def test_coin_falls_by_its_chance_where_it_is_thrown():
    chance = torch.tensor([[0.0, 1.0, 0.3, 0.3]]).double().expand(20_000, -1)
    where = torch.tensor([[True, True, True, False]]).expand(20_000, -1)
    heads = coin(chance, where, Noise(0, range(20_000)), "remask").double().mean(0)
    assert heads[[0, 1, 3]].tolist() == [0, 1, 0] and abs(heads[2] - 0.3) < 4 * 0.0033
