"""A sampler of your own: one function, registered, with settings read from its signature."""

import torch

import lab
from samplers.canvas import Step, write
from samplers.draw import draw, ranking
from samplers.kernels import top_k
from samplers.params import Temperature
from samplers.registry import Needs, sampler


@sampler(
    title="Most likely first",
    paper="arXiv:2202.04200",
    guarantee="biased",
    needs=Needs(corruption=frozenset({"absorbing"}), attention=frozenset({"full"})),
    layout="whole",
)
def most_likely(denoise, canvas, noise, *, temperature: Temperature = 0.0):
    """Commit one masked position a call: the one whose token is most likely."""
    x = canvas.tokens
    for window in canvas.blocks():
        while (masked := canvas.masked(x, window)).any():
            logits = denoise(x, window=window, rows=masked.any(-1))
            predicted, log_p = draw(logits, masked, noise, temperature)
            rank = ranking(log_p).where(masked, -torch.inf)
            x = write(x, window, top_k(rank, 1), predicted)
            yield Step(x, window, predicted, log_p.exp().where(masked, torch.nan))


(run,) = lab.run("most_likely", "sudoku4", seed=1)
print(run.text, "in", run.calls[-1], "calls")
try:
    lab.run("most_likely", "sudoku4", temperature=3)
except ValueError as error:
    print(error)  # the rule, the value, the way out: read from the signature
