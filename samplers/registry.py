"""The registry: a sampler is one generator function; its keyword signature configures it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from .canvas import Canvas, Denoiser, Step
from .draw import Filters
from .noise import Noise
from .signature import Choice, Flag, Param, Range, brief, signature_params

# What a sampler's file declares itself with is taken from here, Choice, Flag and Range too.
__all__ = ["SAMPLERS", "Choice", "Flag", "Needs", "Range", "Sampler", "get", "sampler"]


@dataclass(frozen=True)
class Needs:
    """What a sampler asks of a model, as data.

    corruption and attention: any of these will do; posterior: None, or the one kind it can use;
    time: it tells the model the time, without which no time-conditioned model can run; draft: it
    needs a draft model; joint: it needs a causal model that also has a block mode; leave_one_out:
    it asks for answers that leave a token out; frequencies: it asks how often each token occurs;
    reward: it asks what whole texts are worth; quality: it asks how likely written tokens are
    right; batch: False where rows run one by one.
    """

    corruption: frozenset[str]
    attention: frozenset[str]
    posterior: str | None = None
    time: bool = False
    draft: bool = False
    joint: bool = False
    leave_one_out: bool = False
    frequencies: bool = False
    reward: bool = False
    quality: bool = False
    batch: bool = True


Values = Mapping[str, Any]  # the bound parameters of a run
Revision = Literal["edits", "remasks"]
Budget = Callable[[Values, list[int], bool, int], int]
Draws = Callable[[Values, int], Filters | None]


def shared_filters(values: Values) -> Filters:
    """The usual way to draw: the parameters that all samplers have by these names."""
    return Filters(**{name: values[name] for name in Filters._fields if name in values})


def filters_unless(*names: str) -> Draws:
    """The usual way to draw where these parameters are off: with one of them more shapes a draw."""
    return lambda values, call: None if any(map(values.get, names)) else shared_filters(values)


def steps_per_block(values: Values, masked: list[int], cached: bool, columns: int = 0) -> int:
    """The usual budget: `steps` calls a block, one a masked position where there is no `steps`.

    See `Sampler.most_calls` for the arguments.
    """
    steps = values.get("steps")
    if steps is None:
        return sum(masked)
    return sum(min(steps, count) if cached else steps for count in masked)


@dataclass(frozen=True)
class Sampler:
    """A registered sampler: what it is, what it needs, what can be set, and the function itself.

    `guarantee` speaks of temperature 1, no filter, default settings: exact, O(1/N), O(N^-1/2),
    floor, biased or deterministic. `layout` is where its blocks begin (see Canvas).

    What only the sampler knows about its own parameters it declares, as a value or as a function of
    the bound values, so that no other code reads a parameter by its name: `revises` (see
    `revision`), `budget` (`most_calls`), `eos_rule` (`stops_at_eos`), `slides`
    (`exceeds_context`), `copies` (`canvases_at_once`), `drafts` (`takes_draft`), `draws`
    (`filters`).
    """

    name: str
    title: str
    paper: str
    guarantee: str
    needs: Needs
    layout: str
    params: tuple[Param, ...]
    presets: Mapping[str, Mapping[str, Any]]
    help: str
    function: Callable[..., Iterator[Step]] = field(repr=False)
    check: Callable[[dict[str, Any], Any], None] | None = field(default=None, repr=False)
    revises: Revision | Callable[[Values], Revision | None] | None = field(default=None, repr=False)
    budget: Budget | None = field(default=None, repr=False)
    eos_rule: Callable[[Values], bool] | None = field(default=None, repr=False)
    slides: Callable[[Values], bool] | None = field(default=None, repr=False)
    copies: Callable[[Values], int] | None = field(default=None, repr=False)
    drafts: bool | Callable[[Values], bool] = field(default=False, repr=False)
    draws: Draws | None = field(default=None, repr=False)

    def revision(self, values: Values) -> Revision | None:
        """What may happen to a written token: another replaces it (`edits`), it is masked again
        (`remasks`), or nothing, it is final (None).

        Where tokens are edited, every call judges the standing ones again.
        """
        return self.revises(values) if callable(self.revises) else self.revises

    def most_calls(
        self, values: Values, masked: list[int], cached: bool, columns: int | None = None
    ) -> int:
        """The most model calls that a row can take under these values (a guided call counts 2).

        masked: the masked positions of each block. cached: the model takes no time, so that its
        answer to an unchanged canvas may be kept. columns: what the blocks span (None: as many as
        there are masked positions). Unless declared, it is `steps` per block, and where tokens are
        final and answers kept, no more than there are masked positions.
        """
        columns = sum(masked) if columns is None else columns
        if self.budget:
            return self.budget(values, masked, cached, columns)
        return steps_per_block(values, masked, cached and self.revision(values) is None)

    def stops_at_eos(self, values: Values) -> bool:
        """Whether a row ends at its first EOS, before all of it is filled.

        Unless declared: the shared parameter `eos_early_stop`; without it, where tokens are final.
        """
        if self.eos_rule:
            return self.eos_rule(values)
        return bool(values.get("eos_early_stop", self.revision(values) is None))

    def exceeds_context(self, values: Values) -> bool:
        """Whether a run may be longer than the model's context, which then slides along."""
        return self.slides is not None and self.slides(values)

    def canvases_at_once(self, values: Values) -> int:
        """The most canvases that a row asks about in one call of the denoiser."""
        return 1 if self.copies is None else self.copies(values)

    def takes_draft(self, values: Values) -> bool:
        """Whether a run may begin with tokens at writable columns, to be looked at anew."""
        return self.drafts(values) if callable(self.drafts) else self.drafts

    def filters(self, values: Values, call: int = 0) -> Filters | None:
        """What the model's probabilities go through before a token is drawn by them, in call number
        `call` of a block, from 0; None where more than temperature and filters shapes the draw.
        """
        return self.draws(values, call) if self.draws else shared_filters(values)

    def changed(self, values: Values, preset: str | None = None) -> dict[str, Any]:
        """Those of some bound values that a preset, or else the defaults, would not give."""
        usual = self.bind(self.presets[preset] if preset else {})
        return {name: value for name, value in values.items() if value != usual[name]}

    def bind(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Fill in the defaults and check every value. ValueError: rule, value, way out."""
        values = dict(values or {})
        known = {param.name: param for param in self.params}
        for name in values:
            if name not in known:
                raise ValueError(
                    f"{self.name} has no parameter {brief(name)}; it has {', '.join(known)}"
                )
        bound = {name: values.get(name, param.default) for name, param in known.items()}
        try:
            return {name: known[name].check(value) for name, value in bound.items()}
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def misfit(self, card: Any) -> str | None:
        """Why this sampler cannot run a model with this card, or None where it can."""
        needs = self.needs
        if needs.draft and not card.draft_length:
            return (
                f"{self.name} needs a draft model, this model has none; choose another model: a "
                "causal table or chain, a draft model beside its target (docs/checkpoints.md), or "
                "lab.wrap with a draft_model"
            )
        if needs.joint and not card.joint_length:
            return (
                f"{self.name} needs a causal model that also has a block mode, this one has none; "
                "choose another model: capitals-causal, sudoku4-causal or chain-causal, a model "
                "trained with --objective joint (docs/training.md), or lab.wrap with a block_mode"
            )
        if card.corruption not in needs.corruption:
            return _reason(self, "corruption", needs.corruption, card.corruption)
        if card.attention != "any" and card.attention not in needs.attention:
            return _reason(self, "attention", needs.attention, card.attention)
        if needs.posterior and card.posterior != needs.posterior:
            return _reason(self, "posterior", {needs.posterior}, card.posterior)
        if card.time_conditioned and not needs.time:
            return (
                f"{self.name} does not support time-conditioned models, this model is one; "
                "choose another model or another sampler"
            )
        if needs.leave_one_out and not card.leave_one_out:
            return (
                f"{self.name} needs answers that leave a token out, this model gives none; choose "
                "another model: a table, a chain or a checkpoint of full attention"
            )
        if needs.frequencies and not card.frequencies:
            return (
                f"{self.name} needs to know how often each token occurs, for this model it is not "
                "known; choose another model, or put token_counts.json beside its tokenizer"
            )
        if needs.reward and not card.rewards:
            return (
                f"{self.name} needs a reward, this model has none; choose another model: one of a "
                "task that has a checker (a table, a chain, a board), or lab.wrap with a reward"
            )
        if needs.quality and not card.quality_head:
            return (
                f"{self.name} needs a quality head, this model has none; choose another model: a "
                "table or chain, the folder of a head beside its model (`python -m lab train "
                "--objective quality_head`), or lab.wrap with a quality"
            )
        return None

    def __call__(
        self, denoise: Denoiser, canvas: Canvas, noise: Noise, **values: Any
    ) -> Iterator[Step]:
        """Check everything now, then return the run: an iterator of Steps."""
        bound = self.bind(values)
        reason = self.misfit(denoise.card)
        if reason:
            raise ValueError(reason)
        if self.check:
            self.check(bound, denoise.card)
        return self.function(denoise, self._laid_out(canvas, bound), noise, **bound)

    def _laid_out(self, canvas: Canvas, bound: dict[str, Any]) -> Canvas:
        length = bound.get("block_length")
        if length is None or canvas.block_length == length:
            return canvas
        if canvas.block_length is None:
            return replace(canvas, layout=self.layout, block_length=length)
        raise ValueError(
            f"{self.name}: block_length must be the canvas's own, {canvas.block_length}, got "
            f"{length}; lay the canvas out again for it"
        )


def _reason(sampler: Sampler, what: str, needs: Any, has: str) -> str:
    return (
        f"{sampler.name} needs {what} {' or '.join(sorted(needs))}, this model has {has}; "
        "choose another model or another sampler"
    )


SAMPLERS: dict[str, Sampler] = {}


def get(name: str) -> Sampler:
    """The sampler of that name. ValueError names the known ones."""
    if not isinstance(name, str) or name not in SAMPLERS:
        raise ValueError(f"no sampler {brief(name)}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name]


def sampler(
    *,
    title: str,
    paper: str,
    guarantee: str,
    needs: Needs,
    layout: str,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    check: Callable[[dict[str, Any], Any], None] | None = None,
    revises: Revision | Callable[[Values], Revision | None] | None = None,
    budget: Budget | None = None,
    eos_rule: Callable[[Values], bool] | None = None,
    slides: Callable[[Values], bool] | None = None,
    copies: Callable[[Values], int] | None = None,
    drafts: bool | Callable[[Values], bool] = False,
    draws: Draws | None = None,
) -> Callable[[Callable[..., Iterator[Step]]], Sampler]:
    """Register a generator function under its own name; presets are checked on the spot.

    The arguments are the fields of `Sampler`.
    """

    def register(function: Callable[..., Iterator[Step]]) -> Sampler:
        name = function.__name__
        if name in SAMPLERS:
            raise ValueError(f"a sampler named {name!r} is registered already")
        # no_grad as a decorator: a `with` around a yield would leave grad off in the caller.
        entry = Sampler(
            name=name, title=title, paper=paper, guarantee=guarantee, needs=needs, layout=layout,
            params=signature_params(function), presets=dict(presets or {}),
            help=inspect.getdoc(function) or "", function=torch.no_grad()(function), check=check,
            revises=revises, budget=budget, eos_rule=eos_rule, slides=slides, copies=copies,
            drafts=drafts, draws=draws,
        )  # fmt: skip
        for values in entry.presets.values():
            entry.bind(values)
        SAMPLERS[name] = entry
        return entry

    return register
