"""The field for another model, against a local fake of the hub and tiny models of real classes."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import lab
from lab.models.hub import download as hub_of_lab
from lab.models.load import _OPEN
from lab.tasks import examples
from lab.ui import loaded_models, slot
from lab.ui.comparison import press
from lab.ui.model_picker import _load, described, facts, fitting, refusal
from lab.ui.page import pressed_with, settings_for
from lab.ui.panel_run import RunInputs, fits
from lab.ui.settings_form import PanelSettings, start_value
from lab.ui.snippet import snippet
from samplers import SAMPLERS
from tests.kit import fake_hub, published, tiny
from tests.kit.fake_hub import COMMIT

ROOT = Path(__file__).parents[2]
BERT, MINE = "google-bert/bert-base-uncased", "me/mine"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a published model, one of this lab's, and one that says it is large."""
    monkeypatch.setattr(loaded_models, "_KNOWN", {})
    with fake_hub.reached(monkeypatch, tmp_path / "cache") as running:
        running.add(BERT, published.write(tmp_path / "bert", "bert"))
        running.add(MINE, tiny.write(tmp_path / "mine", "block-absorbing"))
        yield running


def load(found, stop=None):
    """Load what was looked up; what was told on the way comes back beside it."""
    told = []
    found = loaded_models.load(found, lambda *now: told.append(now), stop or threading.Event())
    return found, told


def test_what_it_is_and_costs_is_told_before_any_weights_move(hub):
    told = described(loaded_models.look_up(BERT))
    assert told["model"] == f"{BERT}@{COMMIT[:12]}" and told["family"] == "Masked language models"
    assert told["attention"] == "full" and told["usual_sampler"] == "max_prob"
    assert "MB, " in told["download"] and "GB free" in told["memory"]
    known = published.load("bert").card
    assert told["samplers"] == [
        name for name, sampler in SAMPLERS.items() if sampler.misfit(known) is None
    ]
    assert not hub.fetched(".safetensors")


def test_a_draft_model_is_told_and_loaded_with_its_target(hub, tmp_path):
    name, target = "z-lab/Qwen3-4B-DFlash-b16", published.write(tmp_path / "target", "qwen3")
    hub.add("Qwen/Qwen3-4B", target)
    hub.add(name, published.write_draft_model(tmp_path / "draft_model", target))
    told = described(loaded_models.look_up(name))
    assert told["usual_sampler"] == "dflash" and told["samplers"] == ["autoregressive", "dflash"]
    assert not hub.fetched(".safetensors")
    found, said = load(loaded_models.look_up(name))
    assert found.card.draft_length == 4 and len(hub.fetched(".safetensors")) == 2
    shares = [share for _, share in said if share is not None]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)


def test_a_network_of_this_lab_is_told_by_its_own_card(hub):
    found = loaded_models.look_up(MINE)
    assert found.card.attention == "block_causal" and "bd3lm" in fitting(found)
    assert "mdlm" not in fitting(found) and not hub.fetched(".safetensors")


@pytest.mark.parametrize(
    "text", [f"{BERT}@main", f" {BERT} ", f"https://huggingface.co/{BERT}/tree/main",
             f"https://huggingface.co/{BERT}/", f"{BERT}@{COMMIT}"],
)  # fmt: skip
def test_an_id_comes_with_a_revision_or_as_the_address_of_its_page(hub, text):
    assert loaded_models.look_up(text).name == f"{BERT}@{COMMIT[:12]}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "owner/name"), ("owner", "owner/name@revision of the hub; or a folder"),
        ("/no/such/folder", "or a folder"), ("nobody/none", "there is no nobody/none on the hub"),
        (f"{BERT}@v9", "has no revision 'v9'"), ("a\0b", "NUL"), (7, "must be text"),
        ("x" * 400, "at most 300 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_the_field(hub, text, words):
    with pytest.raises(ValueError, match=words):
        loaded_models.look_up(text)


def test_a_dtype_is_one_that_it_can_be_opened_in(hub):
    with pytest.raises(ValueError, match=r"dtype must be one of .*got \['int3'\]"):
        loaded_models.look_up(BERT, ["int3"])
    half, whole = loaded_models.look_up(BERT, "bfloat16"), loaded_models.look_up(BERT)
    assert half.offer.memory == pytest.approx(whole.offer.memory / 2, rel=0.01)
    assert half.name != whole.name
    assert loaded_models.look_up(MINE, "bfloat16").name == loaded_models.look_up(MINE).name


def test_what_does_not_fit_is_refused_with_the_numbers(hub, monkeypatch):
    hub.facts[BERT] = {"safetensors": {"parameters": {"BF16": 8 * 10**9}, "total": 8 * 10**9}}
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 16_000_000_000)
    with pytest.raises(ValueError, match=r"needs about 38\.40 GB of memory, 16\.00 GB are free"):
        loaded_models.look_up(BERT)
    assert not hub.fetched(".safetensors")


def test_what_was_opened_before_makes_room(hub, monkeypatch):
    first, _ = load(loaded_models.look_up(MINE))
    kept = loaded_models.model(first.name)
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10 if _OPEN else 10**9)
    assert loaded_models.model(first.name) is kept
    assert loaded_models.look_up(BERT).offer.free == 10**9
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10)
    with pytest.raises(ValueError, match="of memory"):
        loaded_models.look_up(BERT)


def test_a_folder_is_told_and_loaded_like_an_id(hub, tmp_path, monkeypatch):
    found = loaded_models.look_up(str(tmp_path / "mine"))
    weights = (tmp_path / "mine" / "model.safetensors").stat().st_size
    assert found.offer.memory == pytest.approx(weights * hub_of_lab.SPARE, rel=0.1)
    assert described(found)["download"] is None
    found, _ = load(found)
    assert loaded_models.model(str(tmp_path / "mine")).card.attention == "block_causal"
    plain = published.write(tmp_path / "plain", "llama")
    assert loaded_models.look_up(str(plain)).card.attention == "causal"
    (plain / "model.safetensors").rename(plain / "model.bin")
    with pytest.raises(ValueError, match="no safetensors weights"):
        loaded_models.look_up(str(plain))
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10)
    with pytest.raises(ValueError, match=r"of memory, 0\.00 MB are free"):
        loaded_models.look_up(str(tmp_path / "bert"))


def test_on_a_public_page_neither_folders_nor_unlisted_ids_nor_code(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    for text in (str(tmp_path / "mine"), f"{MINE}@{COMMIT}", BERT):
        with pytest.raises(ValueError) as caught:
            loaded_models.look_up(text)
        assert "folder" not in str(caught.value)
    with pytest.raises(ValueError, match="no code beside weights is run"):
        loaded_models.look_up(f"{BERT}@{COMMIT}", "float32", bool(hub))
    assert not hub.asked
    assert loaded_models.look_up(f"{BERT}@{COMMIT}").family == "Masked language models"


def test_code_beside_the_weights_is_run_only_where_it_is_switched_on(hub, tmp_path):
    folder = published.write(tmp_path / "remote", "qwen3")
    (folder / "modeling_lladamoe.py").write_text("raise SystemExit('it ran')")
    published.change(folder, model_type="lladamoe", architectures=["LLaDAMoEModelLM"])
    hub.add("inclusionAI/LLaDA-MoE-7B-A1B-Base", folder)
    with pytest.raises(ValueError, match="runs only with the Python code"):
        loaded_models.look_up("inclusionAI/LLaDA-MoE-7B-A1B-Base")
    found = loaded_models.look_up("inclusionAI/LLaDA-MoE-7B-A1B-Base", "float32", bool(hub))
    assert found.given["trust_remote_code"] and found.sampler == "llada"


def test_a_loaded_model_runs_as_a_task_does(hub, tmp_path):
    found, told = load(loaded_models.look_up(BERT))
    assert loaded_models.known()[found.name].card == lab.load(BERT).card
    shares = [share for _, share in told if share is not None]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert told[-1] == ("opening …", None)
    asked = RunInputs(found.name, "Once upon", gen_length=5, seed=3)
    last = list(
        press(asked, [PanelSettings("max_prob"), PanelSettings("hybrid")], threading.Event())
    )[-1]
    assert [value["kind"] for value in last.values] == ["done", "error"]
    assert "hybrid needs corruption" in last.values[1]["message"]
    (alone,) = lab.run("max_prob", lab.load(BERT), "Once upon", gen_length=5, seed=3)
    assert last.result.trajectories[0].same_tokens(alone)
    assert "trajectories-google-bert-bert-base-uncased-seed3.csv" in last.result.csv
    here = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(tmp_path / "cache")}
    source = snippet(asked, [PanelSettings("max_prob")])
    subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, env={**os.environ, **here}, check=True
    )
    assert lab.read(tmp_path / "trajectories.csv")[0].same_tokens(alone)


def test_a_name_that_was_not_loaded_is_no_task(hub):
    asked = RunInputs(f"{BERT}@{COMMIT[:12]}", "Once upon")
    last = list(press(asked, [PanelSettings("max_prob")], threading.Event()))[-1]
    assert "task must be one of" in last.values[0]["message"]
    assert not hub.asked


def test_a_load_that_is_stopped_leaves_nothing_known(hub):
    found, stop = loaded_models.look_up(BERT), threading.Event()
    stop.set()
    with pytest.raises(ValueError, match="stopped"):
        load(found, stop)
    assert not loaded_models.known() and not hub.fetched(".safetensors")


def test_a_load_waits_for_a_run_to_end(hub):
    found, told, stop = loaded_models.look_up(MINE), [], threading.Event()

    def tell(words, share):
        told.append(words)
        if "waiting" in words:
            stop.set()

    with slot.LOCK, pytest.raises(ValueError, match="stopped"):
        loaded_models.load(found, tell, stop)
    assert "waiting for a run to end …" in told and not loaded_models.known()
    load(found)
    assert not slot.LOCK.locked() and found.name in loaded_models.known()


def test_load_takes_only_what_was_looked_up(hub):
    found, request = loaded_models.look_up(BERT), SimpleNamespace(session_hash="a")
    for words in ((MINE, "float32", False), (BERT, "bfloat16", False), (BERT, "float32", True)):
        assert "look it up first" in _load(*words, found, [], request)[0]
    assert "look it up first" in _load(BERT, "float32", False, None, [], request)[0]
    told, task, loaded = _load(BERT, "float32", False, found, [], request, lambda *_, **__: None)
    assert "loaded" in told and task.value == found.name and loaded == [found.name]


def test_the_form_follows_the_model_and_finds_its_way_back(hub, tmp_path):
    opened = {**start_value(fits("stories")), "task": "stories"}
    hub.add("Qwen/Qwen3-0.6B", published.write(tmp_path / "network", "qwen3"))
    found, _ = load(loaded_models.look_up("Qwen/Qwen3-0.6B"))
    form = settings_for(found.name, opened)
    assert [panel and panel["sampler"] for panel in form["panels"]] == [
        "autoregressive", None, None, None
    ]  # fmt: skip
    assert settings_for("stories", form) == opened
    form["panels"][0] = None  # the visitor closes the one that is left
    form["panels"][1] = {"sampler": "autoregressive", "preset": None, "params": {"top_k": 3}}
    back = settings_for("stories", form)["panels"]
    assert back[0] is None and back[1] == form["panels"][1], "what fits there too is kept"
    assert back[2:] == opened["panels"][2:]
    tables = settings_for("capitals", opened)
    tables["panels"][1] = {"sampler": "uniform", "preset": None, "params": {}}
    assert settings_for("stories", tables)["panels"][1]["sampler"] not in ("uniform", None)
    again = settings_for("sudoku9", settings_for("stories", form))
    assert settings_for("stories", again)["panels"][0] is None


def test_run_pressed_before_the_task_came_back_takes_the_new_one():
    opened = {**start_value(fits("stories")), "task": "stories"}
    asked, chosen = pressed_with("sudoku9", "prompt", "Once upon a time", 0, 5, opened)
    assert asked == RunInputs("sudoku9", template=examples("sudoku9")[0], seed=5)
    assert [one.sampler for one in chosen] == [
        panel["sampler"] for panel in settings_for("sudoku9", opened)["panels"]
    ]
    arrived = settings_for("sudoku9", opened)
    asked, _ = pressed_with("sudoku9", "template", "[MASK]*81", 0, 5, arrived)
    assert asked.template == "[MASK]*81"


def test_text_from_elsewhere_is_only_ever_text(hub):
    assert "<img" not in refusal(ValueError("<img src=x onerror=alert(1)>"))
    found = loaded_models.look_up(BERT)
    hostile = loaded_models.ModelEntry(
        found.asked, found.offer, found.card, "<script>", "&", preset="<b>",
                          sampler="mdlm")  # fmt: skip
    assert not any(tag in facts(hostile, "<i>") for tag in ("<script>", "<b>", "<i>"))
    assert "&lt;script&gt;" in facts(hostile)
