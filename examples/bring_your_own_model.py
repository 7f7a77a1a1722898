"""A network of your own under every sampler that fits it: say what it is, and wrap it."""

import torch
from torch import Tensor, nn

import lab
from samplers import SAMPLERS

LETTERS = "abcdefgh"
MASK = len(LETTERS)


class Bigrams(nn.Module):
    """Stand-in for a trained network: each position looks at its neighbours, ids [B, T] in,
    logits [B, T, V] out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.out = nn.Embedding(MASK + 1, 32), nn.Linear(32, MASK + 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of every position from the mean of the three tokens around it."""
        seen = self.embed(tokens)
        return self.out(seen + seen.roll(1, dims=1) + seen.roll(-1, dims=1))


network = Bigrams().eval()
card = lab.ModelCard("bigrams", vocab_size=MASK + 1, mask_id=MASK, context=64)
model = lab.wrap(lambda tokens, t: network(tokens), card)

for name, sampler in SAMPLERS.items():
    if reason := sampler.misfit(card):
        print(f"{name:15} left out: {reason}")
        continue
    (run,) = lab.run(name, model, [[0, 1]], gen_length=16, seed=1)
    print(f"{name:15} {run.calls[-1]:4} calls: {''.join(LETTERS[i] for i in run.output)}")
