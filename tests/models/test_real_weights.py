"""Published checkpoints, where REAL_WEIGHTS names the folder that holds them.

sapiens-vh: a RobertaForMaskedLM of antibody heavy chains (package sapiens 1.0.5, MIT).
stories260K: a LlamaForCausalLM (karpathy's llama2.c, MIT).
"""

import os
from pathlib import Path

import pytest
import torch

import lab
import samplers
from samplers import SAMPLERS

FOLDER = os.environ.get("REAL_WEIGHTS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="REAL_WEIGHTS names no folder of checkpoints")

GERMLINE = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
    "AKDRGYYFDYWGQGTLVTVSS"
)
MASKED = slice(30, 42)  # residues 31 to 42
FULL = [name for name, sampler in SAMPLERS.items()
        if not sampler.misfit(lab.ModelCard("masked", 1, attention="full"))]  # fmt: skip


@pytest.fixture(scope="module")
def antibodies():
    return lab.load(str(Path(FOLDER) / "sapiens-vh"))


@pytest.fixture(scope="module")
def stories():
    return lab.load(str(Path(FOLDER) / "stories260K"))


def test_published_masked_model_passes_self_test(antibodies):
    assert antibodies.note == ""
    card = antibodies.card
    assert (card.attention, card.corruption, card.vocab_size) == ("full", "absorbing", 25)
    assert card.context == 142 and len(FULL) >= 9


@pytest.mark.parametrize("sampler", FULL)
def test_masked_residues_are_restored(sampler, antibodies):
    greedy = {name: 0.0 for name in ("temperature",) if name in samplers.get(sampler).bind({})}
    masked = f"{GERMLINE[: MASKED.start]}[MASK]*12{GERMLINE[MASKED.stop :]}"
    (run,) = lab.run(sampler, antibodies, template=masked, **greedy)
    assert run.writable.nonzero()[0].tolist() == list(range(*MASKED.indices(len(GERMLINE))))
    restored = antibodies.tokenizer.convert_ids_to_tokens(run.tokens[-1].tolist())
    assert "".join(restored) == GERMLINE


@pytest.mark.parametrize("prompt", ["", "Once upon a time", "Tom and Lily went to the park"])
def test_greedy_text_equals_generate(prompt, stories):
    (run,) = lab.run("autoregressive", stories, prompt, gen_length=64, temperature=0.0)
    ids = stories.tokenizer(prompt, add_special_tokens=False).input_ids or [stories.card.bos_id]
    written = stories.network.generate(
        torch.tensor([ids]), do_sample=False, max_new_tokens=64, pad_token_id=0
    )
    assert run.output == written[0, len(ids) :].tolist()
    assert run.text == stories.tokenizer.decode(run.output, skip_special_tokens=True)
