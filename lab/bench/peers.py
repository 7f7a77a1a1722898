"""The same work by other libraries: diffusers' pipeline, transformers' decoding loops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lab.models.model import Opened
from lab.models.transformers.canvas_model import CanvasModel
from lab.models.transformers.checkpoint import Checkpoint
from lab.run.plan import Plan
from samplers.canvas import Canvas


@dataclass(frozen=True)
class Peer:
    """Another library's way to run a plan.

    run: does it; the canvas [B, T] at the end. calls: of its model in the latest run, where its
    algorithm is another one, so that only seconds a call and no tokens compare; None: the same
    tokens are expected, and seconds compare as they are.
    """

    name: str
    run: Callable[[], Tensor]
    calls: Callable[[], int] | None = None


COMPARED = {
    "diffusers": "llada2 on a block-causal model at temperature 0, one row, no editing",
    "transformers": "autoregressive and dflash on a checkpoint at temperature 0, one row; renoise "
    "and uniform on a DiffusionGemma whose canvas is gen_length long",
}


def peer_of(plan: Plan, library: str) -> Peer | None:
    """What that library (a name in COMPARED) has beside a plan; None where it has nothing.

    ValueError for a library that is not known or not installed.
    """
    if library not in COMPARED or find_spec(library) is None:
        known = [name for name in COMPARED if find_spec(name) is not None]
        raise ValueError(
            f"--against must be {' or '.join(known)}, got {library!r}"
            + ("; install it first" if library in COMPARED else "")
        )
    if len(plan.canvas.tokens) > 1 or not _continues(plan.canvas):
        return None
    return _diffusers(plan) if library == "diffusers" else _transformers(plan)


def _continues(canvas: Canvas) -> bool:
    """Whether all that is to be written stands behind all that is given."""
    return bool((canvas.writable[0].int().diff() >= 0).all())


def _prompt(canvas: Canvas) -> Tensor:
    """The ids [1, P] that a canvas of one row begins with."""
    return canvas.tokens[:, : -int(canvas.writable.sum())]


def _diffusers(plan: Plan) -> Peer | None:
    alike = (
        plan.sampler.name == "llada2"
        and plan.model.card.attention == "block_causal"
        and plan.values["temperature"] == 0
        and plan.sampler.revision(plan.values) is None
    )
    return Peer("diffusers", diffusers_run(plan)) if alike else None


def diffusers_run(plan: Plan) -> Callable[[], Tensor]:
    """Diffusers' LLaDA2Pipeline on the same model; called, it gives the canvas [1, T] at the end.

    The pipeline leaves the mask to the model: here it is the block-causal one. It keeps no cache.
    """
    from diffusers import BlockRefinementScheduler, LLaDA2Pipeline

    model, values, canvas = plan.model, plan.values, plan.canvas
    length, card = values["block_length"], model.card

    class Network(torch.nn.Module):
        """The model as that pipeline calls one: ids and which of them are visible, both [1, C]."""

        dtype, device = torch.float32, model.device

        def forward(self, input_ids: Tensor, attention_mask: Tensor, **rest: Any) -> Any:
            seen = attention_mask.bool().cpu()
            whole = Canvas(input_ids, ~seen, seen, card.mask_id, card.eos_ids)
            denoise = Opened(model, whole, length, caches=False)
            logits = denoise(input_ids, window=slice(0, input_ids.shape[1]))
            return SimpleNamespace(logits=logits)

    pipe: Any = LLaDA2Pipeline(
        model=Network(), scheduler=BlockRefinementScheduler(), tokenizer=None
    )
    pipe.set_progress_bar_config(disable=True)
    prompt = _prompt(canvas).to(model.device)

    def run() -> Tensor:
        result = pipe(
            input_ids=prompt,
            gen_length=int(canvas.writable.sum()),
            block_length=length,
            num_inference_steps=values["steps"],
            threshold=2.0 if values["threshold"] is None else values["threshold"],
            editing_threshold=None,
            mask_token_id=card.mask_id,
            eos_token_id=card.eos_ids[0] if card.eos_ids else None,
            eos_early_stop=plan.sampler.stops_at_eos(values),
            output_type="seq",
        )
        return torch.cat([prompt, result.sequences], 1).cpu()

    return run


def _transformers(plan: Plan) -> Peer | None:
    model, greedy = plan.model, plan.values.get("temperature") == 0
    known = isinstance(model, Checkpoint) and model.card.attention == "causal"
    if known and greedy and plan.sampler.name in ("autoregressive", "dflash"):
        start = not _prompt(plan.canvas).shape[1]  # which only our side knows how to begin
        return None if start else Peer("transformers", decoding(plan))
    if isinstance(model, CanvasModel) and plan.sampler.name in ("renoise", "uniform"):
        return _canvas_peer(plan) if int(plan.canvas.writable.sum()) == model.most else None
    return None


def decoding(plan: Plan) -> Callable[[], Tensor]:
    """`generate` of the same network, greedy, with its draft model where the sampler uses one."""
    from transformers import GenerationConfig

    model: Any = plan.model
    card, prompt = model.card, _prompt(plan.canvas).to(model.device)
    drafts = plan.sampler.needs.draft
    size = model.network.config.vocab_size
    banned = sorted({card.mask_id, card.pad_id, *model.banned_ids} - {None})
    config = GenerationConfig(
        max_new_tokens=int(plan.canvas.writable.sum()), do_sample=False, use_cache=True,
        eos_token_id=list(card.eos_ids) or None, pad_token_id=card.pad_id,
        suppress_tokens=[token for token in banned if token < size] or None,
        speculation_type="dflash" if drafts else None,
    )  # fmt: skip
    more = {"assistant_model": model.draft_model} if drafts else {}

    @torch.no_grad()
    def run() -> Tensor:
        ids = model.network.generate(prompt, config, **more).cpu()
        canvas = plan.canvas.tokens.clone()
        canvas[:, : ids.shape[1]] = ids[:, : canvas.shape[1]]
        return canvas

    return run


def _canvas_peer(plan: Plan) -> Peer:
    """DiffusionGemma's own loop, with as many calls as it may make: it commits by entropy."""
    model: Any = plan.model
    prompt = _prompt(plan.canvas).to(model.device)
    if not prompt.shape[1]:
        prompt = torch.full((1, 1), model.start_id, device=model.device)
    calls: list[int] = []

    @torch.no_grad()
    def run() -> Tensor:
        seen = 0
        decode = model.network.model.decoder.forward

        def counted(*inputs: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            return decode(*inputs, **named)

        model.network.model.decoder.forward = counted
        try:
            model.network.generate(
                prompt, max_new_tokens=model.most, max_denoising_steps=plan.values["steps"],
                disable_compile=True,
            )  # fmt: skip
        finally:
            del model.network.model.decoder.forward
        calls.append(seen)
        return plan.canvas.tokens

    return Peer("transformers", run, lambda: calls[-1])


def peers(plans: Sequence[Plan], library: str) -> list[Peer | None]:
    """What that library has beside each plan. ValueError, before any work, where it is nothing."""
    results = [peer_of(plan, library) for plan in plans]
    if not any(results):
        raise ValueError(
            f"{library} has nothing to compare with these runs; it is compared with "
            f"{COMPARED[library]}"
        )
    return results
