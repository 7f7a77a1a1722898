"""Every random choice of a run: counter-based noise, and the draws that samplers make with it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .canvas import on_cpu

CHUNK = 256  # weights that are summed before they are searched
IN_CACHE = 1 << 17  # float64 numbers, which stay in a core's cache
IMPOSSIBLE = "cannot draw: the weights are all zero or not finite"
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
    it: row i of a batch draws what that row draws alone. Counters and keys are whole numbers, on
    the device of whoever asks: the numbers are the same on every device.
    """

    def __init__(self, seed: int, rows: Sequence[int]):
        self.seed, self.rows = seed, rows if isinstance(rows, range) else tuple(rows)
        self._key: dict[str, Tensor] = {}
        self._count: dict[str, Tensor] = {}
        self._impossible: Tensor | None = None

    def _stream(self, purpose: str, device: torch.device) -> Tensor:
        if purpose not in self._key:
            key = torch.tensor([self.seed]) + _GOLDEN
            for byte in purpose.encode():
                key = _mix(key + byte + _GOLDEN)
            if isinstance(self.rows, range):  # made on the device: nothing is sent
                rows = torch.arange(self.rows.start, self.rows.stop, device=device)
            else:
                rows = torch.tensor(self.rows, dtype=torch.int64).to(device, non_blocking=True)
            self._key[purpose] = _mix((rows + 1) * _GOLDEN + int(_mix(key)))
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
        return self._draw(weights, where, self.uniform(where, purpose))

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
        uniform again, so one does for both choices, and only what opens pays for a vocabulary
        (on a GPU all do: to find out which open would cost more).
        """
        u = self.uniform(where, purpose)
        opened = where & (u > stay) if stay else where
        return self._draw(logits, opened, (u - stay) / (1 - stay) if stay else u, weigh)

    def check(self) -> None:
        """ValueError where an earlier draw was impossible; on a CPU that draw itself raised it.

        Waits for a GPU. Nothing of a run counts before it has passed.
        """
        if self._impossible is not None and bool(self._impossible):
            raise ValueError(IMPOSSIBLE)

    @property
    def impossible(self) -> Tensor | None:
        """Whether weights of an earlier draw were all zero or not finite, as a bool on the device.

        None on a CPU, and before any draw.
        """
        return self._impossible

    def _draw(
        self,
        values: Tensor,
        where: Tensor,
        u: Tensor,
        weigh: Callable[[Tensor], Tensor] = lambda weights: weights,
    ) -> Tensor:
        """Ids [B, W] by weigh(values) [B, W, K] at the True of `where`, -1 elsewhere."""
        if on_cpu(where):
            ids = torch.full(where.shape, -1)
            ids[where] = inverse_cdf(weigh(gathered(values, where)), u[where])
            return ids
        weights = weigh(values)
        total = weights.sum(-1, dtype=torch.float64)
        wrong = (where & ~((total > 0) & total.isfinite())).any()
        self._impossible = wrong if self._impossible is None else self._impossible | wrong
        return inverse_cdf(weights, u).where(where, -1)


def gathered(values: Tensor, where: Tensor) -> Tensor:
    """The cells [N, K] of values [B, W, K] at the True of `where` [B, W]; all without a copy."""
    return values.flatten(0, -2) if bool(where.all()) else values[where]


def inverse_cdf(weights: Tensor, u: Tensor) -> Tensor:
    """The index [...] at which the cumulative weights [..., K] (any scale) pass u [...] in (0, 1).

    Sums are float64 in two levels, so a vocabulary of 150,000 loses no tail, and one uniform a
    position is enough (a Gumbel race needs K). An index of weight 0 is never returned. ValueError
    on a CPU for weights that are all zero or not finite; a GPU would have to wait for that
    (`Noise.impossible`), and gets some index.
    """
    k = weights.shape[-1]
    flat, u_flat = weights.reshape(-1, k), u.flatten()
    if not len(flat):
        return torch.zeros(u.shape, dtype=torch.int64, device=weights.device)
    chunk = max(1, min(k, CHUNK))
    sums = chunk_sums(flat, chunk)
    coarse = sums.cumsum(-1)
    total = coarse[:, -1]
    if on_cpu(weights) and not bool((torch.isfinite(total) & (total > 0)).all()):
        raise ValueError(IMPOSSIBLE)
    target = torch.minimum(u_flat * total, _below(total))
    block = (coarse <= target[:, None]).sum(-1, keepdim=True).clamp(max=coarse.shape[1] - 1)
    place = block * chunk + torch.arange(chunk, device=weights.device)
    fine = flat.gather(-1, place.clamp(max=k - 1)).double()
    fine = torch.where(place < k, fine, 0.0).cumsum(-1)
    rest = target - coarse.gather(-1, block)[:, 0] + sums.gather(-1, block)[:, 0]
    rest = torch.minimum(rest, _below(fine[:, -1]))
    index = block[:, 0] * chunk + (fine <= rest[:, None]).sum(-1)
    return index.clamp(max=k - 1).view(u.shape)


def chunk_sums(weights: Tensor, chunk: int) -> Tensor:
    """float64 sums [N, C] of weights [N, K] over `chunk` neighbours.

    A CPU turns them into float64 first, so it gets some rows at a time, which stay in its cache:
    a copy of the whole would take 12 times as long.
    """
    n, k = weights.shape
    rows = max(1, IN_CACHE // k) if on_cpu(weights) else n
    sums = [
        torch.nn.functional.pad(part, (0, -k % chunk)).unflatten(-1, (-1, chunk))
        .sum(-1, dtype=torch.float64)
        for part in weights.split(rows)
    ]  # fmt: skip
    return sums[0] if len(sums) == 1 else torch.cat(sums)


def _below(x: Tensor) -> Tensor:
    return torch.nextafter(x, torch.zeros_like(x))


def choose(where: Tensor, count: Tensor, noise: Noise, most: int | None = None) -> Tensor:
    """Mark count [B] positions of each row, uniformly among the True of `where` [B, W].

    most: the largest count, where it is known; else it is looked up, for which a GPU waits.
    """
    marks = torch.zeros_like(where)
    for _ in range(min(where.shape[1], int(count.max()) if most is None else most)):
        more = (marks.sum(-1) < count) & (where & ~marks).any(-1)
        free = (where & ~marks).double()[:, None]
        position = noise.categorical(free, more[:, None], "position")
        marks = marks | torch.zeros_like(marks).scatter(-1, position.clamp(min=0), more[:, None])
    return marks


def coin(chance: Tensor, where: Tensor, noise: Noise, purpose: str) -> Tensor:
    """True with probability `chance` [B, W] where `where` is True, False elsewhere."""
    weights = torch.stack([1 - chance, chance], -1)
    return noise.categorical(weights, where, purpose) == 1
