"""The settings of a run: flags made from them, checks, and the command that a card quotes."""

from dataclasses import fields
from pathlib import Path

import pytest

from lab.train.corpus import TINY_STORIES
from lab.train.settings import TrainSettings, command, flag, parse, parser

RUN = ("--work", "elsewhere/runs/first", "--steps", "5")


def settings(*flags: str) -> TrainSettings:
    return parse([*RUN, *flags], "")


def test_every_setting_has_flag_with_help(capsys):
    with pytest.raises(SystemExit):
        parser("").parse_args(["--help"])
    text = capsys.readouterr().out
    for one in fields(TrainSettings):
        assert flag(one.name) in text and len(one.metadata["help"]) > 10
    assert "(default: 64,128,256)" in text and "(default: exact)" in text
    assert parse(list(RUN), "") == TrainSettings(work=Path("elsewhere/runs/first"), steps=5)


def test_flags_become_values_of_their_type():
    one = settings("--lengths", "16,32", "--noise-range", "0.1,0.9", "--context", "32", "--resume")
    assert (one.lengths, one.noise_range, one.resume) == ((16, 32), (0.1, 0.9), True)
    assert one.folder == Path("elsewhere/runs/first/model")
    assert settings("--out", "x/y").folder == Path("x/y")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--minutes 3", "--steps or as --minutes"),
        ("--hidden 0", "--hidden must be greater than 0, got 0"),
        ("--block-weight 0", "--block-weight must be greater than 0, got 0"),
        ("--ema 1", "--ema must be from 0 to 1, got 1.0"),
        ("--lengths 16,x", "--lengths must be whole numbers separated by commas, got '16,x'"),
        ("--lengths 16,999", "--lengths must be from 2 to the context of 256, got 16, 999"),
        ("--noise-range 0.5", "--noise-range must be two numbers LOW,HIGH .* got '0.5'"),
        ("--noise-range 0.9,0.1", "--noise-range must be two numbers LOW,HIGH .* got '0.9,0.1'"),
        ("--hidden 30 --heads 4", "even multiple of --heads, got 30 and 4"),
        ("--task recipes", "--task must be one that draws its own data .*sudoku9.* got --task rec"),
        ("--task sudoku9 --data x.txt", "--task sudoku9 draws its own data, got --data x.txt"),
        ("--sequences 9", "--sequences is for a task that draws its own data, got --task stories"),
        ("--task sudoku9 --sequences 0", "--sequences must be greater than 0, got 0"),
        ("--objective dflash --lengths 64", "name its folder by --init-from"),
    ],
)
def test_impossible_setting_is_refused(flags: str, message: str):
    with pytest.raises(ValueError, match=message):
        settings(*flags.split())


def test_data_comes_from_task_or_from_corpus():
    drawn = settings("--task", "sudoku4", "--lengths", "16")
    assert drawn.drawn is not None and drawn.drawn.name == "sudoku4"
    assert settings().drawn is None and settings().corpus == TINY_STORIES
    other = settings("--task", "recipes", "--data", "mine.txt")
    assert (other.drawn, other.corpus, other.task) == (None, "mine.txt", "recipes")


def test_card_quotes_what_differs_and_no_private_path():
    flags = ("--data", "elsewhere/a.jsonl", "--lengths", "16,32", "--noise-range", "0.3,0.8")
    more = ("--tokenizer", "elsewhere/t", "--init-from", "elsewhere/models/start", "--threads", "2")
    assert command(settings(*flags, *more, "--resume")) == (
        "python -m lab train --data path/to/a.jsonl --work runs/first --tokenizer "
        "path/to/tokenizer --init-from path/to/start --steps 5 --lengths 16,32 "
        "--noise-range 0.3,0.8"
    )
    quoted = command(settings("--data", "tiny/stories", "--lengths", "64,128,256"))
    assert quoted == "python -m lab train --data tiny/stories --work runs/first --steps 5"


def test_only_what_decides_weights_is_recorded():
    first, moved = settings("--seed", "3"), settings("--seed", "3", "--threads", "2", "--out", "z")
    assert first.recorded(1, 7) == moved.recorded(1, 7) != settings().recorded(1, 7)
    assert first.recorded(2, 7) != first.recorded(1, 7) != first.recorded(1, 8)
    assert not {"work", "out", "resume", "threads", "save_every"} & first.recorded(1, 7).keys()
