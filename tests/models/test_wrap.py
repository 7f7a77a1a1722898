"""lab.wrap: plain callables that take tokens, or tokens and a time, and modules with `.logits`."""

import pytest
import torch

import lab
from samplers import schedules
from tests.kit import tiny
from tests.kit.laws import record

V = 12


def card(**facts):
    return tiny.card(V, attention="full", mask_id=V - 1, **facts)


@pytest.mark.parametrize("schedule", ["loglinear", "cosine"])
def test_callable_of_two_arguments_gets_time_of_its_schedule(schedule):
    seen = []

    def timed(tokens, t):
        seen.append(t)
        return torch.zeros(*tokens.shape, V)

    model = lab.wrap(timed, card(time_conditioned=True, schedule=schedule))
    record("mdlm", model, [[1, 2], [3, 4]], gen_length=6, steps=4, schedule="linear")
    assert len(seen) == 4 and all(t.shape == (2,) for t in seen)
    # A quarter of the tokens more is clean at each call; on its own clock that is another time.
    alpha = schedules.get(schedule).alpha(torch.stack(seen)[:, 0])
    torch.testing.assert_close(alpha[1:], torch.tensor([0.25, 0.5, 0.75]).double())


def test_callable_and_module_with_logits_answer_alike():
    answer = tiny.constant(5, V)
    plain = lab.wrap(lambda tokens: answer(tokens), card())
    module = lab.wrap(tiny.Fake(answer), card())
    runs = [record("llada", one, [[1]], gen_length=4, steps=2).trajectories()[0]
            for one in (plain, module)]  # fmt: skip
    assert runs[0].same_tokens(runs[1]) and runs[0].output == [5] * 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda tokens: torch.zeros(*tokens.shape, V - 1), r"got \(1, 5, 11\)"),
        (lambda tokens: torch.zeros(tokens.shape[1], V), r"got \(5, 12\)"),
        (lambda tokens: [1, 2], "got list"),
    ],
)
def test_answer_of_another_shape_is_told(answer, message):
    with pytest.raises(ValueError, match=rf"fake must answer with logits of shape .*{message}"):
        lab.run("llada", lab.wrap(answer, card()), [[1]], gen_length=4)
    with pytest.raises(ValueError, match="wrap needs a callable"):
        lab.wrap("network", card())
    with pytest.raises(ValueError, match=r"wrap needs a card, .*lab\.ModelCard\(name, vocab_size"):
        lab.wrap(answer)
    with pytest.raises(ValueError, match=r"wrap needs a lab\.ModelCard, got dict"):
        lab.wrap(answer, {"mask_id": 11})
