"""What every sampler does on one fixed model at temperature 0, step by step: tests/kit/golden.txt.

    python -m tests.kit.golden --write

The model is a formula in whole numbers: no weights, and no two scores so near that rounding could
swap them (tests/samplers/test_golden.py holds it), so the traces are the same on every machine. A
trace is a line a step: the calls so far, then the canvas, letters for tokens, `$` for EOS, `_` for
a mask. What a change of the file shows is a change of behaviour: read it before it is committed.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.models import Model
from lab.models.wrap import Wrapped, judging
from samplers import SAMPLERS
from tests.kit import tiny
from tests.kit.laws import only, record

FILE = Path(__file__).parent / "golden.txt"
LETTERS = "abcdefghijkl$_"
EOS, MASK, V = 12, 13, 14
OCCURRENCES = torch.tensor([1 + 5 * token % 13 for token in range(V)]).double() / 92
PROMPTS = [[0, 1, 2], [4]]
SETTINGS = {"gen_length": 8, "temperature": 0.0, "seed": 5}
FEW = {"steps": 4, "block_length": 4}  # what a case below does not say, where a sampler has it

# Every sampler as it comes, then its other rules.
CASES: tuple[tuple[str, dict[str, object]], ...] = (
    *((name, {}) for name in SAMPLERS),
    ("llada2", {"threshold": 0.5}),
    ("llada2", {"threshold": 0.5, "editing_threshold": 0.3, "max_post_steps": 2}),
    ("llada2", {"threshold": 0.3, "penalty_lambda": 3.0}),
    ("mdlm", {"sampling_eps": 0.1, "steps": 2}),
    ("mdlm", {"stride": 3}),
    ("mdlm", {"schedule": "cosine"}),
    ("hybrid", {"self_correction": True}),
    ("hybrid", {"grid": "published"}),
    ("bd3lm", {"first_hitting": False}),
    ("llada", {"remasking": "random"}),
    ("llada", {"remasking": "spread"}),
    ("llada", {"certainty_sigma": 1.5}),
    ("llada", {"remasking": "bernoulli"}),
    ("llada", {"remasking": "bernoulli_s", "steps": 8}),
    ("llada", {"guidance": 1.0}),
    ("llada", {"eos_early_stop": False, "steps": 2}),
    ("llada", {"forbid_eos": True}),
    ("sdar", {"order": "sequential", "steps": 2}),
    ("sdar", {"order": "low_confidence_static", "steps": 2}),
    ("sdar", {"order": "entropy_bounded", "entropy_bound": 4.0}),
    ("sdar", {"threshold": 0.3, "sub_block": 2, "steps": 2}),
    ("dream", {"alg": "origin"}),
    ("dream", {"alg": "topk_margin"}),
    ("dream", {"alg": "entropy", "alg_temp": 0.1}),
    ("threshold", {"threshold": 0.5}),
    ("threshold", {"threshold": None, "factor": 2.0}),
    ("threshold", {"block_length": 8, "factor": 4.0, "factor_floor": 0.3, "product": 0.1}),
    ("threshold", {"block_length": 8, "run_threshold": 0.2}),
    ("threshold", {"block_length": 8, "threshold": 0.4, "credit": 1.5}),
    ("remdm", {"strategy": "rescale", "eta": 0.5}),
    ("remdm", {"strategy": "conf", "steps": 12}),
    ("remdm", {"strategy": "loop", "eta": 0.3, "steps": 8}),
    ("remdm", {"strategy": "forward_backward", "sampling_eps": 1e-5}),
    ("first_hitting", {"steps": 8}),
    ("entropy_bound", {"gamma": 1.5}),
    ("uniform", {"corrector": 1}),
    ("dflash", {"draft_length": 2}),
    ("self_speculation", {"width": 3}),
    ("self_speculation", {"first_width": 2}),
    ("renoise", {"block_length": 8, "stability": 0}),
    ("freedave", {"block_length": 8, "drafts": 3}),
    ("fk_steering", {"every": 1, "steps": 4, "particles": 3, "potential": "sum"}),
    ("adaptive_parallel", {"mixture": 0.2}),
    ("pc", {"block_length": 8, "decay": 0.05, "steps": 3}),
    ("wino", {"block_length": 6, "threshold": 0.42, "verify": 0.3}),
    ("saber", {"block_length": 8}),
    ("saber", {"block_length": 8, "least": 4, "scored": "published"}),
    ("psi", {"eta": 0.4}),
    ("psi", {"strategy": "rescale", "eta": 0.6}),
    ("psi", {"hold": 0.4, "strategy": "constant", "eta": 0.3, "steps": 8}),
    ("psi", {"strategy": "share", "eta": 0.8}),
    ("klass", {"threshold": 0.2, "kl_bound": 10.0, "history": 1}),
    ("prism", {"block_length": 8, "steps": 6, "remask_count": 5, "order": "random"}),
    ("p2", {"eta": 0.2, "steps": 6}),
    ("p2", {"score": "random"}),
    ("p2", {"scored": "drawn", "eta": 2.0}),
)


def answer(ids: Tensor, *, ahead: bool = False) -> Tensor:
    """Logits [B, T, V]: which token and how surely, both from all ids (ahead: from those before).

    At each column the thirteen tokens get 0..12 in another order, times a sharpness of its own;
    at every other column the second is close to the first, so that margins have their own order.
    """
    column = torch.arange(ids.shape[1], device=ids.device)
    each = (ids + 1) * (3 * column + 1)
    mixed = (each.cumsum(-1) - each if ahead else each.sum(-1, keepdim=True)) % 101
    token = torch.arange(V - 1, device=ids.device)
    place = (5 * token + (7 * column + 11 * mixed)[..., None]) % (V - 1)
    rival = 0.75 * ((column + mixed) % 2)[..., None] * (place == V - 3)  # the second comes close
    sharp = 0.25 + 0.06 * ((3 * column + mixed) % 16)
    logits = (place + rival) * sharp.expand(ids.shape)[..., None]
    return torch.nn.functional.pad(logits, (0, 1), value=9.0)  # the mask is what it likes best


def worth(texts: Tensor) -> Tensor:
    """A reward of texts [N, L]."""
    return (texts.sum(-1) % 7) / 7


def following(ids: Tensor) -> Tensor:
    """The same of a causal model."""
    return answer(ids, ahead=True)


def drafting(ids: Tensor) -> Tensor:
    """The same of a block mode: what the causal one would write, but at every fifth column."""
    x, column = ids.clone(), torch.arange(ids.shape[1], device=ids.device)
    for place in range(ids.shape[1]):
        token = following(x)[:, place, :MASK].argmax(-1)
        x[:, place] = torch.where(x[:, place] == MASK, token, x[:, place])
    return torch.where((column % 5 == 4)[:, None], answer(ids), following(x))


def network(sampler: str, device: torch.device | None = None, **more: Any) -> Model:
    """The model that this sampler can run: the first corruption and attention that it names.

    device: where it computes; more: further facts of its card.
    """
    needs = SAMPLERS[sampler].needs
    facts = {"corruption": min(needs.corruption), "attention": min(needs.attention)}
    facts |= {"draft_length": 4} if needs.draft else {}
    facts |= {"joint_length": 4} if needs.joint else {}
    facts |= {"leave_one_out": needs.leave_one_out, "frequencies": needs.frequencies}
    card = tiny.card(V, **{**facts, "eos_ids": (EOS,), "p_uniform": 0.1, **more})
    function = following if card.attention == "causal" else answer
    without = tiny.alone(answer, MASK)
    model = Wrapped(function, card, draft_model=following if needs.draft else None, device=device,
                    leave_one_out=without if needs.leave_one_out else None,
                    block_mode=drafting if needs.joint else None)  # fmt: skip
    model.counted = lambda: OCCURRENCES
    model.own_reward = worth
    model.own_quality = judging(tiny.judgement, card, device)
    model.card = replace(model.card, rewards=("score", "right"), quality_head=needs.quality)
    return model


def trace(sampler: str, settings: dict[str, object], device: torch.device | None = None) -> str:
    """One case: a title, then the steps of each row."""
    values = {**only(sampler, **FEW), **settings}
    run = record(sampler, network(sampler, device), PROMPTS, **SETTINGS, **values)
    title = " ".join([sampler, *(f"{name}={value}" for name, value in values.items())])
    lines = [f"# {title}"]
    for row in run.trajectories():
        lines.append(f"{0:4} {_text(row.tokens[0])}")
        lines += [f"{calls:4} {_text(line)}"
                  for calls, line in zip(row.calls, row.tokens[1:], strict=True)]  # fmt: skip
    return "\n".join(lines) + "\n"


def _text(ids: Tensor) -> str:
    return "".join(LETTERS[token] for token in ids)


def stored() -> dict[str, str]:
    """{title: trace} of the file."""
    parts = FILE.read_text("utf-8").split("\n\n")
    return {part.split("\n")[0]: part.rstrip("\n") + "\n" for part in parts if part.strip()}


if __name__ == "__main__":
    text = "\n".join(trace(*case) for case in CASES)
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text, "utf-8")
    else:
        print(text)
