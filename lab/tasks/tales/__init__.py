"""Tales: small stories written by a grammar with memory, so that the truth about each is known.

ids stand for WORDS; the last word is the end, which also pads. draw gives canvases [N, LENGTH].
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from lab.tasks.split import SHARE
from lab.tasks.tales import cases
from lab.tasks.tales.cases import CASES, TaleInstance, instances, score
from lab.tasks.tales.checker import check
from lab.tasks.tales.drawing import draw
from lab.tasks.tales.lexicon import EOS, INDEX, WORDS
from lab.tasks.tales.process import EOS_ID, LENGTH, State, expand, log_prob, next_tokens, states
from lab.tasks.task import CardText, Instance, Task, template

__all__ = [
    "EOS_ID", "SHARE", "TASK", "State", "TaleInstance", "check", "draw", "entropy", "expand",
    "instances", "log_prob", "next_tokens", "score", "states",
]  # fmt: skip


class Entropy(NamedTuple):
    """In nats, each with its standard error; the tokens of a story include one end."""

    story: float
    story_error: float
    token: float
    token_error: float


def entropy(count: int, seed: int) -> Entropy:
    """The entropy of the grammar, estimated as the mean of -log p over `count` drawn stories."""
    rows = draw(count, seed).tolist()
    surprise = [-log_prob(row) for row in rows]
    lengths = [row.index(EOS_ID) + 1 for row in rows]
    story, length = statistics.fmean(surprise), statistics.fmean(lengths)
    token = story / length
    spread = [bits - token * size for bits, size in zip(surprise, lengths, strict=True)]
    root = math.sqrt(count)
    return Entropy(
        story,
        statistics.stdev(surprise) / root,
        token,
        statistics.pstdev(spread) / length / root,
    )


def _instances(case: str, count: int, seed: int) -> list[Instance]:
    """Held-out tales as the lab's instances: the words that a draft replaces are masked."""
    if case not in CASES:
        raise ValueError(f"a case of tales must be one of {', '.join(CASES)}, got {case!r}")
    return [_instance(each) for each in cases.instances(case, count, seed)]


def _instance(each: cases.TaleInstance) -> Instance:
    solution = (*each.solution.split(), EOS)
    solution = (*solution, *[EOS] * (LENGTH - len(solution)))
    known = [None if word == cases.MASK else word for word in each.text.split()]
    masked = [None] * (LENGTH - len(known)) if each.case == "continue" else []
    after = solution[len(known) :] if each.case != "continue" else ()
    return Instance(template([*known, *masked, *after]), solution)


TASK = Task(
    name="tales",
    title="Tales",
    summary="A small story in which every sentence must follow from those before: who is where, "
    "who holds what, who is meant by he or she. The stories come from a grammar, so each wrong "
    "word is named, and what it costs to write several words at once can be read and counted.",
    examples=(
        "One sunny day, Lily is in the garden. She finds a red ball.",
        "[MASK]*96",
        "One sunny day, Lily goes to the park.[MASK]*60 It was a lovely day.[MASK]*20",
        "On a windy day, [MASK] walks to the hill. He has a [MASK] kite with him.[MASK]*60",
    ),
    models=(),
    words=WORDS,
    eos=EOS,
    length=LENGTH,
    cases={name: line for name, line in CASES.items() if name != "repair"},
    instances=_instances,
    checker=lambda words, columns: check([*words, EOS]),
    draw=draw,
    log_prob=lambda words: log_prob(_ids(words)),
    card=CardText(
        "small stories that a grammar with memory tells",
        "Stories drawn without end by `lab/tasks/tales`: a grammar with a state (who is where, "
        "who holds what, who feels how), about 300 words, 48 to 96 tokens. One story in 16, "
        "chosen by a hash of its content, is held out and never trains.",
        "It tells the stories of one small grammar and nothing else; the grammar's own probability "
        "of every text is known, so a model is an approximation that need not be used.",
    ),
)


def _ids(words: Sequence[str]) -> list[int]:
    """The ids of a finished tale, its first end included."""
    return [INDEX[word] for word in words[: words.index(EOS) + 1 if EOS in words else None]]
