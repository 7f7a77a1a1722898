"""The corpus: tokenizer, held-out split, windows that follow from the step alone."""

import torch

from lab.train.corpus import generator, pack, read_corpus, window_length, windows
from tests.kit.stories import STORIES


def test_tokenizer_round_trip_and_special_tokens(tokenizer):
    text = "Zoë’s 猫 said: <|mask|> é\n\t!"
    stream = pack(tokenizer, [text])
    ids = stream.tokens.tolist()
    assert tokenizer.decode(ids[1:-1]) == text
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    special = {tokenizer.mask_token_id, tokenizer.pad_token_id, ids[0], ids[-1]}
    assert len(special) == 4
    assert not special & set(ids[1:-1]), "text was read as a special token"


def test_held_out_split_never_trains(data):
    corpus = read_corpus(str(data))
    assert len(corpus.held_out) == 5
    assert not set(corpus.train) & set(corpus.held_out)
    assert len(corpus.train) + len(corpus.held_out) == len(STORIES)


def test_text_file_holds_out_every_twentieth(tmp_path):
    path = tmp_path / "stories.txt"
    path.write_text("\n\n".join(STORIES), encoding="utf-8")
    corpus = read_corpus(str(path))
    assert corpus.held_out == STORIES[19::20]
    assert set(corpus.train) == set(STORIES) - set(corpus.held_out)


def test_windows_depend_on_step_alone(tokenizer):
    stream = pack(tokenizer, STORIES)
    first = windows(stream, 400, 16, generator(0, 7, 2, 0))
    assert torch.equal(first, windows(stream, 400, 16, generator(0, 7, 2, 0)))
    assert not torch.equal(first, windows(stream, 400, 16, generator(0, 8, 2, 0)))
    assert not torch.equal(first, windows(stream, 400, 16, generator(0, 7, 2, 1)))
    at_start = (first[:, 0] == tokenizer.bos_token_id).float().mean()
    assert 0.4 < at_start < 0.65
    drawn = {window_length((16, 32, 64), 0, step) for step in range(40)}
    assert drawn == {16, 32, 64}
