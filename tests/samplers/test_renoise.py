"""Renoise: its law on two tokens by recursion, its tokens beside transformers' own loop."""

import math
from itertools import product

import pytest
import torch
import transformers
from transformers.models.diffusion_gemma import generation_diffusion_gemma as loop

import lab
from samplers.kernels import noise_spread
from samplers.noise import Noise
from tests.kit import published
from tests.kit.chain import MASK, PI, A, chain, law_of

CANVAS = 24  # of the tiny model
PAIRS = list(product(range(3), repeat=2))


def posterior(seen, alpha):
    """p(x_i | noisy tokens) [2][3] of two tokens of which each is clean with chance alpha."""
    weights = {
        x: PI[x[0]] * A[x[0]][x[1]] * math.prod(
            alpha * (a == b) + (1 - alpha) / 3 for a, b in zip(x, seen, strict=True)
        )
        for x in PAIRS
    }  # fmt: skip
    whole = sum(weights.values())
    return [[sum(w for x, w in weights.items() if x[i] == v) / whole for v in range(3)]
            for i in range(2)]  # fmt: skip


def law_of_renoise(steps, bound, temperature, cooling):
    """{pair: chance}; what is remembered is how many tokens the call before kept."""
    law = {}
    states = {(pair, 0): 1 / 9 for pair in PAIRS}
    for left in range(steps, 0, -1):
        heat, after = temperature * (cooling + (1 - cooling) * left / steps), {}
        for (canvas, clean), chance in states.items():
            p = [[q ** (1 / heat) for q in row] for row in posterior(canvas, clean / 2)]
            p = [[q / sum(row) for q in row] for row in p]
            if left == 1:
                best = tuple(max(range(3), key=row.__getitem__) for row in p)
                law[best] = law.get(best, 0.0) + chance
                continue
            doubt = [-sum(q * math.log(q) for q in row if q > 0) for row in p]
            first = min((0, 1), key=lambda i: doubt[i])
            keep = [first, 1 - first] if doubt[first] <= bound else [first]
            for drawn in product(range(3), repeat=2):
                for fresh in product(range(3), repeat=2 - len(keep)):
                    line = [drawn[i] if i in keep else fresh[0] for i in (0, 1)]
                    weight = math.prod(p[i][drawn[i]] for i in (0, 1)) / 3 ** len(fresh)
                    key = (tuple(line), len(keep))
                    after[key] = after.get(key, 0.0) + chance * weight
        states = after
    return law


@pytest.mark.parametrize(
    ("bound", "temperature", "cooling"), [(0.1, 1.0, 1.0), (0.6, 0.8, 0.5), (3.0, 1.0, 0.5)]
)
def test_renoise_keeps_what_shares_little_entropy(bound, temperature, cooling):
    values = {"entropy_bound": bound, "temperature": temperature, "cooling": cooling, "steps": 2}
    law = law_of("renoise", chain(length=2, corruption="uniform"), [MASK] * 2, join=False,
                 stop_entropy=None, **values)  # fmt: skip
    target = law_of_renoise(2, bound, temperature, cooling)
    result = law.of(torch.tensor(list(target)))
    assert float((result - torch.tensor(list(target.values()))).abs().sum()) < 1e-5


class Replay:
    """Puts the noise of one of our rows into transformers' loop, which draws for every position."""

    def __init__(self, model, seed, row, monkeypatch):
        self.noise, self.calls = Noise(seed, [row]), 0
        self.spread = noise_spread(model.card, torch.device("cpu"))
        self.before = None  # the counter of "renoise" as it was before the latest call

        def renoise(sampler, keep, step):
            return torch.where(sampler.accepted_token_mask, keep,
                               self.renoise(~sampler.accepted_token_mask))  # fmt: skip

        monkeypatch.setattr(loop.EntropyBoundSampler, "initialize_canvas", self.begin)
        monkeypatch.setattr(loop.EntropyBoundSampler, "renoise_canvas", renoise)
        monkeypatch.setattr(torch, "multinomial", self.multinomial)
        monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: None)

    def fresh(self, where, purpose):
        weights = self.spread.expand(*where.shape, len(self.spread))
        return self.noise.categorical(weights, where, purpose)

    def begin(self, batch_size, device):
        if self.before is not None:  # it renoises after the call that ends a canvas, too
            self.noise._count["renoise"] = self.before
        return self.fresh(torch.ones(1, CANVAS, dtype=torch.bool), "prior")

    def renoise(self, where):
        self.before = self.noise._count.get("renoise", torch.zeros(1, dtype=torch.int64))
        return self.fresh(where, "renoise")

    def multinomial(self, weights, num_samples):
        self.calls += 1
        where = torch.ones(1, CANVAS, dtype=torch.bool)
        return self.noise.categorical(weights.view(1, CANVAS, -1), where)[0, :, None]


def theirs(model, ids, values):
    """What transformers generates in two canvases, its ids up to the first EOS."""
    config = loop.DiffusionGemmaGenerationConfig(
        max_new_tokens=2 * CANVAS,
        max_denoising_steps=values["steps"],
        sampler_config=loop.EntropyBoundSamplerConfig(values["entropy_bound"]),
        t_max=values["temperature"],
        t_min=values["temperature"] * values["cooling"],
        stability_threshold=values["stability"],
        confidence_threshold=values["stop_entropy"],
        eos_token_id=list(model.card.eos_ids),
        pad_token_id=model.card.pad_id,
    )
    never = transformers.SuppressTokensLogitsProcessor([model.card.pad_id, *model.banned_ids])
    out = model.network.generate(
        torch.tensor([ids]), generation_config=config,
        logits_processor=transformers.LogitsProcessorList([never]),
    )  # fmt: skip
    line = out.sequences[0, len(ids) :].tolist()
    ends = [i for i, token in enumerate(line) if token in model.card.eos_ids]
    return line[: ends[0] + 1] if ends else line


SETTINGS = [
    (0.005, 5.0, 0.2, 1, 0.5),
    (0.005, 5.0, 0.2, 2, 0.1),
    (0.02, 5.0, 9.0, 0, 0.5),
    (0.8, 0.1, 0.005, 1, 0.5),
]


@pytest.mark.parametrize("values", SETTINGS)
def test_renoise_writes_what_transformers_writes(values, monkeypatch):
    """Rows of one batch, two of one length, in two canvases, the logits of each call fed back."""
    model = published.load(published.GEMMA)
    prompts = [[60, 61, 62], [70, 71, 72, 73, 74], [80, 81, 82]]
    names = ("temperature", "entropy_bound", "stop_entropy", "stability", "cooling")
    values = dict(zip(names, values, strict=True), steps=16)
    ours = lab.run("renoise", model, prompts, gen_length=2 * CANVAS, block_length=CANVAS, seed=5,
                   **values)  # fmt: skip
    for row, (one, ids) in enumerate(zip(ours, prompts, strict=True)):
        with monkeypatch.context() as patch:
            replay = Replay(model, 5, row, patch)
            assert one.output == theirs(model, ids, values)
            assert one.calls[-1] == replay.calls
