"""What oracle and table say of themselves, and of bad arguments: rule, value, way out."""

import pytest
import torch

from lab.models.exact.oracle import oracle
from lab.models.exact.table import table

PI = [0.5, 0.3, 0.2]
A = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]
CANVASES = torch.tensor([[0, 1, 2, 3]])


def test_card_and_caller_arrays():
    transition = torch.tensor(A)
    model = oracle(PI, transition, length=7, corruption="hybrid", posterior="loo", eos_id=2)
    before = model.denoise(torch.full((1, 7), 3))
    transition.zero_()
    assert torch.equal(before, model.denoise(torch.full((1, 7), 3)))
    card = model.card
    assert (card.vocab_size, card.mask_id, card.eos_ids, card.length) == (4, 3, (2,), 7)
    assert (card.attention, card.corruption, card.posterior) == ("any", "hybrid", "loo")
    assert card.p_uniform == 0.1 and not card.time_conditioned
    assert oracle(PI, A).card.p_uniform == 0.0


BAD = [
    (lambda: oracle([0.5, 0.6], [[1, 0], [0, 1]]), "initial must sum to 1, got 1.1"),
    (lambda: oracle([0.5, 0.5], [[1, 0]]), r"transition must have shape \[2, 2\], got \[1, 2\]"),
    (lambda: oracle([1.5, -0.5], [[1, 0], [0, 1]]), "initial must be finite and not negative"),
    (lambda: oracle([float("nan"), 1], [[1, 0], [0, 1]]), "initial must be finite"),
    (lambda: oracle([], []), r"initial must have shape \[any\]"),
    (lambda: oracle("ab", A), "initial must be an array of numbers"),
    (lambda: oracle(PI, A, emission=[[1.0]]), r"emission must have shape \[3, any\]"),
    (lambda: oracle(PI, A, length=0), "length must be a whole number of at least 1, got 0"),
    (lambda: oracle(PI, A, length=2.5), "length must be a whole number"),
    (lambda: oracle(PI, A, corruption="mask"), "corruption must be one of absorbing, hybrid"),
    (lambda: oracle(PI, A, posterior="both"), "posterior must be one of full, loo"),
    (lambda: oracle(PI, A, p_uniform=1.0), "p_uniform must be from 0 to below 1, got 1.0"),
    (lambda: oracle(PI, A, p_uniform=float("nan")), "p_uniform must be from 0"),
    (lambda: oracle(PI, A, eos_id=3), "eos_id must be a token id from 0 to 2 or None, got 3"),
    (lambda: oracle(PI, A, vocabulary=["a"]), "vocabulary must name each of the 3 tokens"),
    (lambda: oracle(PI, A, vocabulary=["a", "b", "b"]), "each once, got 'b'"),
    (lambda: table([[0, 1], [1]]), "sequences must be one array"),
    (lambda: table([0, 1]), r"sequences must have shape \[N, T\], got \[2\]"),
    (lambda: table([[0.5]]), "sequences must hold whole token ids"),
    (lambda: table([[-1, 2]]), "sequences must hold ids from 0 to 2, got -1 to 2"),
    (lambda: table([[0, 5]], vocabulary=["a", "b"]), "ids from 0 to 1, got 0 to 5"),
    (lambda: table([[0], [1]], [0.5, 0.6]), "weights must sum to 1"),
    (lambda: table([[0], [1]], [1.0]), r"weights must have shape \[2\]"),
    (lambda: oracle(PI, A, length=3).denoise(CANVASES), "at most 3 tokens, got 4"),
    (lambda: oracle(PI, A).denoise(CANVASES + 1), "has token ids 0 to 3, got 1 to 4"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_errors_say_rule_value_and_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()
