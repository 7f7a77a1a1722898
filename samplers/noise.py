"""Every random choice of a run: counter-based noise, and the draws that samplers make with it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .canvas import on_cpu

CHUNK = 256  # weights that are summed before they are searched
IN_CACHE = 1 << 17  # float64 numbers, which stay in a core's cache
AHEAD = 1 << 14  # numbers of a stream that a CPU makes at once, most calls asking for few
BELOW_ONE = 1 - 2.0**-53  # the largest float64 below 1; times any x > 0 it is below x
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
        self._ahead: dict[str, tuple[Tensor, Tensor, int]] = {}
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
        if not cells.shape[1]:
            return torch.empty(where.shape, dtype=torch.float64, device=where.device)
        index = self._count[purpose][:, None] + cells.cumsum(-1)
        if on_cpu(where) and cells.numel() < AHEAD // 4:
            numbers = self._looked_up(purpose, index, cells.shape[1])
        else:
            self._ahead.pop(purpose, None)  # the stream goes on behind them
            numbers = _unit(key[:, None], index)
        self._count[purpose] = index[:, -1]
        return torch.where(cells, numbers, 0.5).view(where.shape)

    def _looked_up(self, purpose: str, index: Tensor, width: int) -> Tensor:
        """The numbers [B, W] at these places of a stream, looked up; at most `width` are new.

        They are functions of their place alone, so many cost hardly more than a few.
        """
        start, numbers, left = self._ahead.get(purpose, (index, index, 0))
        if left < width:
            key = self._key[purpose][:, None]
            start, left = self._count[purpose][:, None], AHEAD // len(key)
            numbers = _unit(key, start + torch.arange(left + 1))
        self._ahead[purpose] = start, numbers, left - width
        return numbers.gather(-1, index - start)

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
            place = places(where)
            if place is not None and not len(place):
                return torch.full(where.shape, -1)
            ids = inverse_cdf(weigh(gathered(values, place)), gathered(u, place))
            return put_back(ids, place, where.shape, -1)
        weights = weigh(values)
        total = weights.sum(-1, dtype=torch.float64)
        wrong = (where & ~((total > 0) & total.isfinite())).any()
        self._impossible = wrong if self._impossible is None else self._impossible | wrong
        return inverse_cdf(weights, u).where(where, -1)


def _unit(key: Tensor, index: Tensor) -> Tensor:
    """Numbers in the open (0, 1) at these places of the streams with these keys."""
    bits = (_mix(key + index * _GOLDEN) >> 12) & ((1 << 52) - 1)
    return (bits.double() + 0.5) * 2.0**-52


def places(where: Tensor) -> Tensor | None:
    """The numbers [N] of the cells that are True in `where` [B, W]; None where all are."""
    place = where.flatten().nonzero()[:, 0]
    return None if len(place) == where.numel() else place


def gathered(values: Tensor, place: Tensor | None) -> Tensor:
    """The cells [N, ...] of values [B, W, ...] with these numbers; all (None) without a copy."""
    flat = values.flatten(0, 1)
    return flat if place is None else flat.index_select(0, place)


def put_back(cells: Tensor, place: Tensor | None, shape: torch.Size, other: float) -> Tensor:
    """Cells [N] at their places of a tensor [B, W] that holds `other` elsewhere."""
    if place is None:
        return cells.view(shape)
    return cells.new_full((shape.numel(),), other).index_copy_(0, place, cells).view(shape)


def inverse_cdf(weights: Tensor, u: Tensor) -> Tensor:
    """The index [...] at which the cumulative weights [..., K] (any scale) pass u [...] in (0, 1).

    Sums are float64 in two levels, so a vocabulary of 150,000 loses no tail, and one uniform a
    position is enough (a Gumbel race needs K). An index of weight 0 is never returned. ValueError
    on a CPU for weights that are all zero or not finite; a GPU would have to wait for that
    (`Noise.impossible`), and gets some index.
    """
    k = weights.shape[-1]
    flat, u = weights.reshape(-1, k), u.reshape(-1, 1).clamp(0, BELOW_ONE)
    if not len(flat):
        return torch.zeros(weights.shape[:-1], dtype=torch.int64, device=weights.device)
    if k <= CHUNK:
        sums = flat.cumsum(-1, dtype=torch.float64)
        place = torch.searchsorted(sums, u * _checked(sums[:, -1:]), right=True)
        return place.clamp(max=k - 1).view(weights.shape[:-1])
    sums = torch.nn.functional.pad(chunk_sums(flat, CHUNK).cumsum(-1), (1, 0))
    target = u * _checked(sums[:, -1:])
    chunk = torch.searchsorted(sums, target, right=True).clamp(max=sums.shape[1] - 1) - 1
    place = chunk * CHUNK + torch.arange(CHUNK, device=weights.device)
    near = flat.gather(-1, place.clamp(max=k - 1)).double()
    near = (near if k % CHUNK == 0 else near.where(place < k, 0.0)).cumsum(-1)
    rest = torch.minimum(target - sums.gather(-1, chunk), near[:, -1:] * BELOW_ONE)
    index = chunk * CHUNK + torch.searchsorted(near, rest, right=True)
    return index.clamp(max=k - 1).view(weights.shape[:-1])


def _checked(total: Tensor) -> Tensor:
    """Sums of weights [N, 1]. ValueError on a CPU where nothing can be drawn in proportion."""
    if on_cpu(total):
        low, high = total.aminmax()
        if not (float(low) > 0 and float(high) < torch.inf):  # NaN is neither
            raise ValueError(IMPOSSIBLE)
    return total


def chunk_sums(weights: Tensor, chunk: int) -> Tensor:
    """float64 sums [N, C] of weights [N, K] over `chunk` neighbours.

    A CPU turns them into float64 first, so it gets some rows at a time, which stay in its cache:
    a copy of the whole would take 12 times as long.
    """
    n, k = weights.shape
    rows, more = max(1, IN_CACHE // k) if on_cpu(weights) else n, -k % chunk
    sums = []
    for part in weights.split(rows):
        whole = torch.nn.functional.pad(part, (0, more)) if more else part  # pad copies all
        sums.append(whole.unflatten(-1, (-1, chunk)).sum(-1, dtype=torch.float64))
    return sums[0] if len(sums) == 1 else torch.cat(sums)


def total(weights: Tensor) -> Tensor:
    """Sums [...] float64 of weights [..., K]."""
    flat = weights.reshape(-1, weights.shape[-1])
    return chunk_sums(flat, max(1, weights.shape[-1])).sum(-1).view(weights.shape[:-1])


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
