"""Sums of two numbers, as written digit by digit: carries run from right to left.

The counterpart of the boards: arXiv 2605.29123 finds orders by confidence committing digits before
the carries that decide them; the models that ship read every digit off the summands.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from lab.tasks.score import Score
from lab.tasks.split import draw_side, generator
from lab.tasks.task import CardText, Instance, Structure, Task, template

DIGITS = tuple("0123456789")
WORDS = (*DIGITS, "+", "=")
WIDTH = 8  # digits of a written summand, leading zeros and all
QUESTION = 2 * WIDTH + 2  # columns up to the "="
CASES = {
    f"{digits}:{chain}": f"{digits} digits, "
    + (f"a carry that runs over {chain} places" if chain else "no carry")
    for digits, chain in ((2, 0), (4, 0), (8, 0), (4, 2), (8, 2), (8, 4), (8, 6), (8, 8))
}


def places(number: Tensor, width: int) -> Tensor:
    """The digits [N, width] of numbers [N], most significant first."""
    return number[:, None] // 10 ** torch.arange(width - 1, -1, -1) % 10


def chains(first: Tensor, second: Tensor) -> Tensor:
    """Length [N] of the longest carry chain of digits [N, W] + [N, W]; 0 where nothing carries.

    A place that adds up to 10 or more begins a chain; each place left of it that adds up to 9
    hands the carry on and makes it one longer.
    """
    longest = run = torch.zeros(len(first), dtype=torch.int64)
    for both in (first + second).flip(1).unbind(1):
        run = torch.where(both > 9, 1, torch.where((both == 9) & (run > 0), run + 1, 0))
        longest = torch.maximum(longest, run)
    return longest


def summands(
    rows: int, chance: torch.Generator, digits: int | None = None, chain: int | None = None
) -> tuple[Tensor, Tensor]:
    """Digits [rows, WIDTH] twice: both numbers have at most `digits` digits, the chain is forced.

    digits None: any number; chain None: as it comes, a number: a chain of at least that length
    is laid at a random place (what `chains` then finds may be longer, by luck).
    """
    size = torch.full((rows,), digits or 0)
    if digits is None:
        size = torch.randint(1, WIDTH + 1, (rows,), generator=chance)
    place = torch.arange(WIDTH - 1, -1, -1)  # 0 is the last digit
    first = torch.randint(10, (rows, WIDTH), generator=chance)
    second = torch.randint(10, (rows, WIDTH), generator=chance)
    if chain:
        start = (torch.rand(rows, generator=chance) * (size - chain + 1).clamp(min=1)).long()
        after = place - start[:, None]
        more = 10 - first + (torch.rand(rows, WIDTH, generator=chance) * first).long()
        first = torch.where((after == 0) & (first == 0), 9, first)
        second = torch.where(after == 0, more.clamp(1, 9), second)
        second = torch.where((after > 0) & (after < chain), 9 - first, second)
    first = first.masked_fill(place >= size[:, None], 0)
    return first, second.masked_fill(place >= size[:, None], 0)


def sums(
    rows: int,
    chance: torch.Generator,
    held: bool = False,
    *,
    digits: int | None = None,
    chain: int | None = None,
) -> Tensor:
    """Draw sums [rows, 3 * WIDTH + 3] as written: 00000123+00000989=000001112.

    Without `digits` and `chain` half of the rows get a chain of random length. With `chain` the
    longest chain is exactly that; `digits` then must be no less.
    """
    power = 10 ** torch.arange(WIDTH - 1, -1, -1)

    def draw(count: int) -> Tensor:
        forced = chain
        if chain is None and digits is None:
            forced = int(torch.randint(1, WIDTH + 1, (1,), generator=chance))
        first, second = summands(count, chance, digits, forced)
        if chain is None and digits is None:
            plain = torch.rand(count, 1, generator=chance) < 0.5
            free = summands(count, chance)
            first, second = first.where(plain, free[0]), second.where(plain, free[1])
        total = (first * power).sum(1) + (second * power).sum(1)
        sign = torch.tensor([[10, 11]]).expand(count, 2)
        ids = torch.cat([first, sign[:, :1], second, sign[:, 1:], places(total, WIDTH + 1)], dim=1)
        return ids if chain is None else ids[chains(first, second) == chain]

    return draw_side(draw, rows, held, QUESTION)


def structure() -> Structure:
    """Digits of one place stand together in both summands and the sum; signs have a place too.

    Places count from the most significant digit, so three heads look at their own place and at
    the two to the right of it, where carries come from.
    """
    summand = range(1, WIDTH + 1)
    columns = [(place, 0) for place in summand] + [(WIDTH + 1, 3)]
    columns += [(place, 1) for place in summand] + [(WIDTH + 1, 4)]
    return Structure(
        tuple(columns + [(place, 2) for place in range(WIDTH + 1)]), ((0, 0), (0, 1), (0, 2))
    )


def instances(case: str, count: int, seed: int) -> list[Instance]:
    """Held-out sums of a case "digits:chain": so many digits, the longest carry chain exact."""
    match = re.fullmatch(r"(\d):(\d)", case)
    digits, chain = map(int, match.groups()) if match else (-1, 0)
    if not 0 <= chain <= digits <= WIDTH:
        raise ValueError(
            f"digits:chain must be two numbers, chain <= digits <= {WIDTH}, got '{case}'"
        )
    rows = sums(count, generator(seed, digits, chain), True, digits=digits, chain=chain)
    result = []
    for row in rows.tolist():
        words = tuple(WORDS[i] for i in row)
        open_places = [None] * (len(words) - QUESTION)
        result.append(Instance("".join(words[:QUESTION]) + template(open_places), words))
    return result


def case_of(words: Sequence[str | None]) -> str | None:
    """Digits of the larger number and the carry chain, of a question whose sum is open."""
    question = "".join(word or " " for word in words[:QUESTION])
    match = re.fullmatch(rf"([0-9]{{{WIDTH}}})\+([0-9]{{{WIDTH}}})=", question)
    if not match or any(words[QUESTION:]):
        return None
    first, second = ([int(digit) for digit in number] for number in match.groups())
    digits = len(str(max(int(match[1]), int(match[2]))))
    return f"{digits}:{int(chains(torch.tensor([first]), torch.tensor([second])))}"


def check(words: Sequence[str], columns: int) -> Score:
    """Value 1 for a right sum, else 0 with the digits of the sum that are wrong."""
    text = "".join(words)
    match = re.fullmatch(r"([0-9]+)\+([0-9]+)=([0-9]+)", text)
    if not match:
        return Score(0.0, "not a sum: it must read as digits + digits = digits", ())
    first, second, answer = match.groups()
    total = str(int(first) + int(second)).zfill(len(answer))
    if total == answer:
        return Score(1.0, f"{int(first)} + {int(second)} = {int(answer)}", ())
    start = len(text) - len(answer)
    wrong = [start + i for i, (a, b) in enumerate(zip(answer, total, strict=False)) if a != b]
    reason = f"{int(first)} + {int(second)} = {int(total)}, not {int(answer)}"
    return Score(0.0, f"not the sum: {reason}", tuple(wrong))


TASK = Task(
    name="addition",
    title="Addition",
    summary="Sums of two numbers of up to 8 digits, the counterpart of the boards. A model that "
    "has learned to sum reads every digit off the summands, so there is no order to get wrong.",
    # Sums that never trained: a carry over six places, and one without a carry.
    examples=("09140298+47859704=[MASK]*9", "04293211+80703437=[MASK]*9"),
    models=("addition-mdlm", "addition-ar"),
    words=WORDS,
    length=QUESTION + WIDTH + 1,
    cases=CASES,
    instances=instances,
    checker=check,
    case_of=case_of,
    question=QUESTION,
    draw=lambda count, seed: sums(count, torch.Generator().manual_seed(seed)),
    structure=structure(),
    card=CardText(
        "sums of two numbers",
        "Sums drawn without end by `lab/tasks/addition.py`: two numbers of 1 to 8 digits with "
        "leading zeros and their sum in 9 digits; half of them with a carry chain of random "
        "length laid in. The summands are given, the sum is noised. One pair of summands in 16, "
        "chosen by a hash, is held out and never trains.",
        "It completes 8 digits + 8 digits = 9 digits, leading zeros written, and nothing else. "
        "arXiv 2605.29123 finds orders by confidence committing digits before the carries that "
        "decide them. A model that has learned to sum reads every digit off the summands, so there "
        "is no order left to get wrong: the counterpart of the boards, not a calculator.",
        "a stock GPT-2 whose attention mask the caller gives, so that it looks both ways; digits "
        "of one place share a code in their learned positions, and three heads a layer start as "
        "looks at the own place and the two to its right; the rest starts at random",
    ),
)
