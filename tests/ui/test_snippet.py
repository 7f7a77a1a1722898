"""The run of the page as lines for a shell: the same tokens, whatever the text holds."""

import shlex
from dataclasses import replace

import pytest

import lab
from lab.cli import main
from lab.models.hub.download import Offer
from lab.models.model import ModelCard
from lab.ui import loaded_models
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings
from lab.ui.snippet import snippet
from tests.kit.pressing import press

HOSTILE = "The capital of $(touch x) `id` \"'; # \\ [MASK]"


def commands(inputs: RunInputs, panels: list[PanelSettings]) -> list[list[str]]:
    """What a shell makes of each line, without `python -m lab`."""
    lines = [shlex.split(line) for line in snippet(inputs, panels).shell.split("\n")]
    assert all(words[:3] == ["python", "-m", "lab"] for words in lines)
    return [words[3:] for words in lines]


@pytest.mark.parametrize(
    "inputs",
    [RunInputs("capitals", "The capital of", seed=3),
     RunInputs("capitals", template="The capital of [MASK]*2 is[MASK].", seed=1)],
)  # fmt: skip
def test_shell_repeats_run(inputs, tmp_path, monkeypatch, capsys):
    panels = [PanelSettings("llada2", "llada2.1_speed", {"steps": 4, "top_p": None}),
              PanelSettings("mdlm", None, {"steps": 3, "eos_early_stop": False})]  # fmt: skip
    run, _ = press(inputs, panels)
    monkeypatch.chdir(tmp_path)
    for words in commands(inputs, panels):
        assert main(words) == 0
    for number, mine in enumerate(run.comparison.runs, 1):
        (theirs,) = lab.read(tmp_path / f"panel-{number}.csv")
        assert mine.same_tokens(theirs)


def test_shell_reads_any_text_as_text():
    (words,) = commands(RunInputs("capitals", HOSTILE, seed=2), [PanelSettings("mdlm")])
    assert f"--prompt={HOSTILE}" in words and "--seed=2" in words and len(words) == 6


def test_shell_says_what_it_cannot_open(monkeypatch):
    offer = Offer("owner/name", "", {}, None, 0, 0)
    entry = loaded_models.ModelEntry(("owner/name", "bfloat16"), offer, ModelCard("x", 9), "", "",
                                     "bfloat16")  # fmt: skip
    monkeypatch.setattr(loaded_models, "entry", lambda name: entry)
    shell = snippet(RunInputs("owner/name", "Once"), [PanelSettings("mdlm")]).shell
    assert shell.startswith("#") and "dtype" in shell and "generate" not in shell
    entry = replace(entry, dtype="float32")
    (words,) = commands(RunInputs("owner/name", "Once"), [PanelSettings("mdlm")])
    assert "--model=owner/name" in words
