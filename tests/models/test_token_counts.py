"""How often tokens occur: counted in a task's own texts, read beside a tokenizer, or given."""

import pytest
import torch

import lab
from lab.models import catalogue, token_counts
from lab.models.errors import ModelError
from tests.kit import published, tiny
from tests.kit.laws import record


def test_counts_are_written_and_read_back(tmp_path):
    token_counts.save_counts(tmp_path, torch.tensor([3, 1, 3, 3]))
    assert (tmp_path / token_counts.FILE).read_text() == '{"1":1,"3":3}\n'
    assert token_counts.read_counts(tmp_path / token_counts.FILE, 5).tolist() == [0, 1, 0, 3, 0]
    shares = token_counts.frequencies(tmp_path, "", 5)()
    assert shares.tolist() == pytest.approx([1 / 7, 1 / 7, 1 / 7, 3 / 7, 1 / 7])


@pytest.mark.parametrize(
    "text", ['{"5": 1}', '{"-1": 1}', '{"a": 1}', '{"1": 1.5}', '{"1": -1}', '{"1": true}',
             '{"٣": 1}', '{"1": 1e400}', '{"1": 99999999999999999}', "[1]", "{"],
)  # fmt: skip
def test_file_that_counts_nothing_is_refused(tmp_path, text):
    (tmp_path / token_counts.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=token_counts.FILE):
        token_counts.read_counts(tmp_path / token_counts.FILE, 5)


def test_task_that_draws_is_counted():
    """A sudoku has each digit as often as any other; nothing is written for it."""
    name = next(n for n in catalogue.models() if n.startswith("sudoku6-mdlm"))
    shares = lab.load(name).frequencies()
    digits = shares[shares > 1e-3]
    assert len(digits) == 6 and torch.allclose(digits, torch.full((6,), 1 / 6).double(), atol=1e-3)


def test_stories_know_their_commonest_token():
    model = lab.load("stories-mdlm")
    shares = model.frequencies()
    assert model.card.frequencies and float(shares.sum()) == pytest.approx(1)
    assert model.tokenizer.decode([int(shares.argmax())]).strip() == "."


def test_folder_without_counts_says_what_is_missing(tmp_path):
    folder = tiny.write(tmp_path / "full", "full-absorbing", frequencies=True)
    (folder / token_counts.FILE).unlink()
    model = lab.load(str(folder))
    assert not model.card.frequencies
    with pytest.raises(ValueError, match=r"how often each token occurs.*token_counts\.json"):
        lab.run("pc", model, "Once", gen_length=4)
    with pytest.raises(ValueError, match="put token_counts"):
        model.frequencies()


def test_published_folder_may_bring_its_counts(tmp_path):
    folder = published.write(tmp_path / "llada", "llada")
    assert not lab.load(str(folder)).card.frequencies
    token_counts.save_counts(folder, torch.arange(100))
    assert record("pc", lab.load(str(folder)), "Once", gen_length=4).trajectories()[0].output


@pytest.mark.parametrize("values", [[1.0], [0.0] * 5, [-1.0] * 5, [float("nan")] * 5])
def test_frequencies_that_are_none_are_refused(values):
    card = tiny.card(5, attention="full")
    with pytest.raises(ValueError, match="frequencies must be 5 numbers"):
        lab.wrap(lambda ids: torch.zeros(*ids.shape, 5), card, frequencies=values)
