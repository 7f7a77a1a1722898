"""Every random choice of a run: counter-based noise, and the draws that samplers make with it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64: the increment of SplitMix64


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014) on int64, which wraps as uint64 would."""

    def shift(z: Tensor, bits: int) -> Tensor:  # logical, where >> on int64 is arithmetic
        return (z >> bits) & ((1 << (64 - bits)) - 1)

    z = (z ^ shift(z, 30)) * -4658895280553007687
    z = (z ^ shift(z, 27)) * -7723592293110705685
    return z ^ shift(z, 31)


class Noise:
    """Every random choice of a run: counter-based, one stream a (seed, row number, purpose).

    A row's counter moves by the cells drawn for that row alone, so that neighbours never shift
    it: row i of a batch draws what that row draws alone.
    """

    def __init__(self, seed: int, rows: Sequence[int]):
        self.seed, self.rows = seed, tuple(rows)
        self._key: dict[str, Tensor] = {}
        self._count: dict[str, Tensor] = {}

    def _stream(self, purpose: str, device: torch.device) -> Tensor:
        if purpose not in self._key:
            key = torch.tensor([self.seed]) + _GOLDEN
            for byte in purpose.encode():
                key = _mix(key + byte + _GOLDEN)
            rows = torch.tensor(self.rows, dtype=torch.int64)
            self._key[purpose] = _mix(_mix(key) + (rows + 1) * _GOLDEN).to(device)
            self._count[purpose] = torch.zeros(len(rows), dtype=torch.int64, device=device)
        return self._key[purpose]

    def uniform(self, where: Tensor, purpose: str = "draw") -> Tensor:
        """float64 in the open (0, 1), of the shape [B] or [B, W] of `where`; 0.5 where False."""
        key = self._stream(purpose, where.device)
        cells = where.view(len(key), -1)
        index = self._count[purpose][:, None] + cells.cumsum(-1)
        bits = (_mix(key[:, None] + index * _GOLDEN) >> 12) & ((1 << 52) - 1)
        self._count[purpose] = index[:, -1] if cells.shape[1] else self._count[purpose]
        return torch.where(cells, (bits.double() + 0.5) * 2.0**-52, 0.5).view(where.shape)

    def categorical(self, weights: Tensor, where: Tensor, purpose: str = "draw") -> Tensor:
        """Draw ids [B, W] in proportion to weights [B, W, K]; -1 where `where` [B, W] is False."""
        u = self.uniform(where, purpose)
        ids = torch.full(where.shape, -1, dtype=torch.int64, device=where.device)
        ids[where] = inverse_cdf(weights[where], u[where])
        return ids

    def reveal(
        self,
        logits: Tensor,
        where: Tensor,
        weigh: Callable[[Tensor], Tensor],
        stay: float = 0.0,
        purpose: str = "draw",
    ) -> Tensor:
        """Draw ids [B, W] by weigh(logits) [B, W, V], or with chance `stay` none (-1).

        -1 also where `where` [B, W] is False. What of a position's uniform lies above `stay` is
        uniform again, so one does for both choices, and only what opens pays for a vocabulary.
        """
        u = self.uniform(where, purpose)
        opened = where & (u > stay)
        ids = torch.full(where.shape, -1, dtype=torch.int64, device=where.device)
        ids[opened] = inverse_cdf(weigh(logits[opened]), (u[opened] - stay) / (1 - stay))
        return ids


def inverse_cdf(weights: Tensor, u: Tensor) -> Tensor:
    """The index [N] at which the cumulative weights [N, K] (any scale) pass u [N] in (0, 1).

    Sums are float64 in two levels, so a vocabulary of 150,000 loses no tail, and one uniform a
    position is enough (a Gumbel race needs K). An index of weight 0 is never returned.
    """
    n, k = weights.shape
    if n == 0:
        return torch.zeros(0, dtype=torch.int64, device=weights.device)
    chunk = max(1, min(k, 256))
    pad = -k % chunk
    chunks = torch.nn.functional.pad(weights, (0, pad)).view(n, -1, chunk)
    sums = chunks.sum(-1, dtype=torch.float64)
    if not bool(torch.isfinite(sums).all() & (sums.sum(-1) > 0).all()):
        raise ValueError("cannot draw: the weights are all zero or not finite")
    coarse = sums.cumsum(-1)
    target = torch.minimum(u * coarse[:, -1], _below(coarse[:, -1]))
    block = (coarse <= target[:, None]).sum(-1)
    rows = torch.arange(n, device=weights.device)
    fine = chunks[rows, block].double().cumsum(-1)
    rest = torch.minimum(target - coarse[rows, block] + sums[rows, block], _below(fine[:, -1]))
    return block * chunk + (fine <= rest[:, None]).sum(-1)


def _below(x: Tensor) -> Tensor:
    return torch.nextafter(x, torch.zeros_like(x))


def choose(where: Tensor, count: Tensor, noise: Noise) -> Tensor:
    """Mark count [B] positions of each row, uniformly among the True of `where` [B, W]."""
    marks = torch.zeros_like(where)
    while (more := (marks.sum(-1) < count) & (where & ~marks).any(-1)).any():
        free = (where & ~marks).double()[:, None]
        position = noise.categorical(free, more[:, None], "position")
        marks = marks | torch.zeros_like(marks).scatter(-1, position.clamp(min=0), more[:, None])
    return marks


def coin(chance: Tensor, where: Tensor, noise: Noise, purpose: str) -> Tensor:
    """True with probability `chance` [B, W] where `where` is True, False elsewhere."""
    weights = torch.stack([1 - chance, chance], -1)
    return noise.categorical(weights, where, purpose) == 1
