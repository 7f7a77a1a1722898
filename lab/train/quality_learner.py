"""PRISM's objective (arXiv:2510.01384): a head learns which of a model's own tokens are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from lab.models.attention import additive
from lab.models.card import read_card, read_facts
from lab.models.transformers.quality_head import Judged, QualityHead, states
from lab.run.recorder import run
from lab.train.learner import Learner
from lab.train.problem import Problem, everything


class Filling(NamedTuple):
    """One training problem: some masked positions are filled by the model's own draws.

    tokens [B, T]: the text; noisy [B, T]: it with masks; filled [B, T] bool: which of these are
    filled; chance [B, T] float64 in [0, 1): the numbers that draw the tokens.
    """

    tokens: torch.Tensor
    noisy: torch.Tensor
    filled: torch.Tensor
    chance: torch.Tensor


class QualityLearner(nn.Module):
    """A head `network` and the frozen model that it reads; forward gives the loss.

    A draw is right where it is the token of the text. The cross-entropy of that is least for
    p(x_i = y_i | all of y but i), so the head needs no other label.

    Differs from the official code: the model's weights stay as they are, so that the paper's
    second loss, lambda times that of the masked model, has nothing to train; and the head reads the
    states behind all layers, for those behind the last were not trained to tell.
    """

    def __init__(
        self, network: QualityHead, target: PreTrainedModel, banned: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.network = network
        # Not a submodule: nobody trains, averages, synchronises or saves it.
        self._reader = (Learner(target, banned).eval(),)

    @property
    def target(self) -> PreTrainedModel:
        """The model whose draws are judged."""
        return self._reader[0].network

    @torch.no_grad()
    def text(self, problem: Filling) -> torch.Tensor:
        """The noisy text [B, T] with what the model draws at its filled positions."""
        place, length = problem.filled, problem.tokens.shape[1]
        weight = torch.zeros(problem.tokens.shape)
        noisy = Problem(problem.noisy, torch.arange(length), everything(length), place,
                        problem.tokens, weight, 1)  # fmt: skip
        edges = self._reader[0].logits(noisy).double().softmax(1).cumsum(1).cpu()
        # An edge that rounding leaves below 1 is still the last that a draw may reach.
        aim = problem.chance[place][:, None] * edges[:, -1:]
        return problem.noisy.masked_scatter(place, torch.searchsorted(edges, aim, right=True))

    def read(self, problem: Filling, text: torch.Tensor) -> torch.Tensor:
        """The log-odds [n] of the filled positions of text [B, T]."""
        device, length = next(self.network.parameters()).device, text.shape[1]
        with torch.no_grad():
            out = self.target.base_model(
                input_ids=text.to(device),
                position_ids=torch.arange(length, device=device)[None],
                attention_mask=additive(everything(length), device)[None, None],
                use_cache=False,
                output_hidden_states=True,
            )
            place = problem.filled.to(device)
            seen = states([each[place] for each in out.hidden_states]).float()
        return self.network(seen).float()

    def judge(self, problem: Filling) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-odds [n] of the model's draws, and whether each is right [n]."""
        target: Any = self.target
        target.to(next(self.network.parameters()).device)
        text, place = self.text(problem), problem.filled
        return self.read(problem, text), text[place] == problem.tokens[place]

    def forward(self, problem: Filling) -> torch.Tensor:
        """Binary cross-entropy, nats a drawn token."""
        odds, right = self.judge(problem)
        return functional.binary_cross_entropy_with_logits(odds, right.to(odds))


def build_head(target: PreTrainedModel, width: int, seed: int = 0) -> QualityHead:
    """A random head for a model, of that many units."""
    config: Any = target.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return QualityHead(config.num_hidden_layers, config.hidden_size, width)


def check_target(target: Path, out: Path) -> None:
    """ValueError unless `target` is the folder of a model of masks and full attention, and `out`
    lies beside it."""
    if not (target / "lab.json").is_file():
        raise ValueError(
            f"--init-from must be a folder written by `python -m lab train`, got '{target}'"
        )
    card = read_card(target)
    if (card.attention, card.corruption, card.quality_head) != ("full", "absorbing", False):
        what = "a quality head" if card.quality_head else f"{card.attention}, {card.corruption}"
        raise ValueError(
            f"quality_head needs a model of full attention and absorbing corruption, got one of "
            f"{what}; train one with --objective mdlm"
        )
    if target.resolve().parent != out.resolve().parent:
        raise ValueError(
            f"--out must lie beside its target in {target.parent}, where the head's lab.json "
            f"names it, got {out}"
        )


def sample(learner: QualityLearner, tokenizer: Any, target: Path, random: torch.Generator) -> str:
    """A text that the model writes while the head judges it."""
    card = replace(read_card(target), name=f"head of {target.name}", quality_head=True)
    start = read_facts(target).get("start_id")
    model = Judged(learner.target, learner.network, card, tokenizer, start_id=start)
    seed = int(torch.randint(2**31, (1,), generator=random))
    length = None if card.length else min(48, card.context - 1)
    (one,) = run("prism", model, "", gen_length=length, seed=seed, temperature=0.8)
    learner.network.train()
    return one.text.strip()
