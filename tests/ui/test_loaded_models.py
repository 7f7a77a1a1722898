"""Another model in the page, against a local fake of the hub and tiny models of real classes."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import lab
from lab.models.hub import disk
from lab.models.hub import download as hub_of_lab
from lab.models.load import _OPEN
from lab.tasks import examples
from lab.ui import exports, loaded_models, slot
from lab.ui.input_events import run_request, settings_for
from lab.ui.model_picker import _load, describe, fitting, refusal, summary
from lab.ui.run_inputs import RunInputs
from lab.ui.settings_form import PanelSettings, start_value
from lab.ui.shelf import Hourly, Shelf
from lab.ui.snippet import snippet
from lab.ui.tasks import misfits
from samplers import SAMPLERS
from tests.kit import fake_hub, published, tiny
from tests.kit.fake_hub import COMMIT
from tests.kit.pressing import kinds, press

ROOT = Path(__file__).parents[2]
BERT, MINE = "google-bert/bert-base-uncased", "me/mine"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a published model, one of this lab's, and one that says it is large."""
    monkeypatch.setattr(loaded_models, "_KNOWN", Shelf(1.0, size=loaded_models._share))
    monkeypatch.setattr(loaded_models, "_TRUSTED", set())
    with fake_hub.reached(monkeypatch, tmp_path / "cache") as running:
        running.add(BERT, published.write(tmp_path / "bert", "bert"))
        running.add(MINE, tiny.write(tmp_path / "mine", "block-absorbing"))
        yield running


def load(entry, stop=None, visitor=""):
    """Load a model that was looked up; its progress comes back beside it."""
    progress, stop = [], stop or threading.Event()
    entry = loaded_models.load(entry, lambda *now: progress.append(now), stop, visitor)
    return entry, progress


def opened_model(entry):
    """The model that is kept open for it."""
    return lab.load(entry.offer.name, **entry.options, device=loaded_models.device())


def test_facts_and_costs_are_shown_before_weights_move(hub):
    facts = describe(loaded_models.look_up(BERT))
    assert facts["model"] == f"{BERT}@{COMMIT[:12]}" and facts["family"] == "Masked language models"
    assert facts["attention"] == "full" and facts["usual_sampler"] == "max_prob"
    assert "MB, " in facts["download"] and "GB free" in facts["memory"]
    known = published.load("bert").card
    assert facts["samplers"] == [
        name for name, sampler in SAMPLERS.items() if sampler.misfit(known) is None
    ]
    assert not hub.fetched(".safetensors")


def test_draft_model_is_loaded_with_its_target(hub, tmp_path):
    name, target = "z-lab/Qwen3-4B-DFlash-b16", published.write(tmp_path / "target", "qwen3")
    hub.add("Qwen/Qwen3-4B", target)
    hub.add(name, published.write_draft_model(tmp_path / "draft_model", target))
    facts = describe(loaded_models.look_up(name))
    assert facts["usual_sampler"] == "dflash" and facts["samplers"] == [
        "autoregressive",
        "dflash",
        "adaptive_parallel",
    ]
    assert not hub.fetched(".safetensors")
    entry, said = load(loaded_models.look_up(name))
    assert entry.card.draft_length == 4 and len(hub.fetched(".safetensors")) == 2
    shares = [share for _, share in said if share is not None]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)


def test_model_of_this_lab_is_described_by_its_own_card(hub):
    entry = loaded_models.look_up(MINE)
    assert entry.card.attention == "block_causal" and "bd3lm" in fitting(entry)
    assert "mdlm" not in fitting(entry) and not hub.fetched(".safetensors")


@pytest.mark.parametrize(
    "text", [f"{BERT}@main", f" {BERT} ", f"https://huggingface.co/{BERT}/tree/main",
             f"https://huggingface.co/{BERT}/", f"{BERT}@{COMMIT}"],
)  # fmt: skip
def test_id_comes_with_revision_or_as_address_of_its_page(hub, text):
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
def test_what_cannot_be_loaded_has_reason(hub, text, words):
    with pytest.raises(ValueError, match=words):
        loaded_models.look_up(text)


def test_dtype_is_one_that_it_can_be_opened_in(hub):
    with pytest.raises(ValueError, match=r"dtype must be one of .*got \['int3'\]"):
        loaded_models.look_up(BERT, ["int3"])
    half, whole = loaded_models.look_up(BERT, "bfloat16"), loaded_models.look_up(BERT)
    assert half.offer.memory == pytest.approx(whole.offer.memory / 2, rel=0.01)
    assert half.name != whole.name
    assert loaded_models.look_up(MINE, "bfloat16").name == loaded_models.look_up(MINE).name


def test_too_large_is_refused_with_numbers(hub, monkeypatch):
    hub.facts[BERT] = {"safetensors": {"parameters": {"BF16": 8 * 10**9}, "total": 8 * 10**9}}
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 16_000_000_000)
    with pytest.raises(ValueError, match=r"needs about 38\.40 GB of memory, 16\.00 GB are free"):
        loaded_models.look_up(BERT)
    assert not hub.fetched(".safetensors")


def test_models_opened_before_make_room(hub, monkeypatch):
    first, _ = load(loaded_models.look_up(MINE))
    opened = opened_model(first)
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10 if _OPEN else 10**9)
    assert opened_model(first) is opened
    assert loaded_models.look_up(BERT).offer.free == 10**9
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10)
    with pytest.raises(ValueError, match="of memory"):
        loaded_models.look_up(BERT)


def test_folder_is_loaded_like_id(hub, tmp_path, monkeypatch):
    entry = loaded_models.look_up(str(tmp_path / "mine"))
    weights = (tmp_path / "mine" / "model.safetensors").stat().st_size
    assert entry.offer.memory == pytest.approx(weights * hub_of_lab.SPARE, rel=0.1)
    assert describe(entry)["download"] is None
    entry, _ = load(entry)
    assert opened_model(entry).card.attention == "block_causal"
    plain = published.write(tmp_path / "plain", "llama")
    assert loaded_models.look_up(str(plain)).card.attention == "causal"
    (plain / "model.safetensors").rename(plain / "model.bin")
    with pytest.raises(ValueError, match="no safetensors weights"):
        loaded_models.look_up(str(plain))
    monkeypatch.setattr(hub_of_lab, "free_memory", lambda: 10)
    with pytest.raises(ValueError, match=r"of memory, 0\.00 MB are free"):
        loaded_models.look_up(str(tmp_path / "bert"))


def test_public_page_opens_listed_ids_alone(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    for text in (str(tmp_path / "mine"), f"{MINE}@{COMMIT}", BERT):
        with pytest.raises(ValueError) as caught:
            loaded_models.look_up(text)
        assert "folder" not in str(caught.value)
    assert not hub.requests
    assert loaded_models.look_up(f"{BERT}@{COMMIT}").family == "Masked language models"


def test_public_page_bounds_what_visitor_fetches(hub, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    entry = loaded_models.look_up(f"{BERT}@{COMMIT}")
    monkeypatch.setattr(loaded_models, "_FETCHES", Hourly("fetched", 9, 10, 10))
    with pytest.raises(ValueError, match="at most 0 MB an hour may be fetched"):
        load(entry)
    assert not hub.fetched(".safetensors") and disk.missing(entry.offer) > 10
    monkeypatch.setattr(loaded_models, "_FETCHES", Hourly("fetched", 1, 10**9, 10**9))
    load(entry)
    assert disk.missing(entry.offer) == 0
    load(entry)  # what is on the disk costs nothing


def test_disk_of_public_page_is_cleared_of_who_takes_most(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    names = [BERT, "answerdotai/ModernBERT-base", "distilbert/distilbert-base-uncased"]
    for name in names[1:]:
        hub.add(name, tmp_path / "bert")
    entries = [loaded_models.look_up(f"{name}@{COMMIT}") for name in names]
    monkeypatch.setattr(loaded_models, "DISK", 2.5 * entries[0].offer.download)
    for entry, visitor in zip(entries, ("quiet", "loud", "loud"), strict=True):
        load(entry, visitor=visitor)
    assert list(loaded_models.known()) == [entries[0].name, entries[2].name]
    gone = [disk.missing(entry.offer) > 0 for entry in entries]
    assert gone == [False, True, False]
    assert describe(loaded_models.look_up(f"{names[1]}@{COMMIT}"))["model"] == entries[1].name


def test_nothing_is_removed_from_disk_of_own_machine(hub, monkeypatch):
    monkeypatch.setattr(loaded_models._KNOWN, "most", 0.01)
    for name in (BERT, MINE):
        load(loaded_models.look_up(name))
    assert list(loaded_models.known()) == [loaded_models.look_up(MINE).name]
    assert not disk.missing(loaded_models.look_up(BERT).offer)


def test_code_beside_weights_needs_servers_trust(hub, tmp_path):
    folder = published.write(tmp_path / "remote", "qwen3")
    (folder / "modeling_lladamoe.py").write_text("raise SystemExit('it ran')")
    published.change(folder, model_type="lladamoe", architectures=["LLaDAMoEModelLM"])
    hub.add("inclusionAI/LLaDA-MoE-7B-A1B-Base", folder)
    with pytest.raises(ValueError, match="runs only with the Python code"):
        loaded_models.look_up("inclusionAI/LLaDA-MoE-7B-A1B-Base")
    loaded_models.trust(["inclusionAI/LLaDA-MoE-7B-A1B-Base"])
    entry = loaded_models.look_up("inclusionAI/LLaDA-MoE-7B-A1B-Base")
    assert entry.options["trust_remote_code"] and entry.sampler == "llada"


def test_loaded_model_runs_as_task_does(hub, tmp_path):
    entry, progress = load(loaded_models.look_up(BERT))
    assert loaded_models.known()[entry.name].card == lab.load(BERT).card
    shares = [share for _, share in progress if share is not None]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert progress[-1] == ("opening …", None)
    inputs = RunInputs(entry.name, "Once upon", gen_length=5, seed=3)
    run, last = press(inputs, [PanelSettings("max_prob"), PanelSettings("hybrid")])
    assert kinds(last) == ["done", "error"]
    assert "hybrid needs corruption" in last.values[1]["message"]
    (alone,) = lab.run("max_prob", lab.load(BERT), "Once upon", gen_length=5, seed=3)
    assert run.comparison.runs[0].same_tokens(alone)
    name = exports.file_name(run.comparison.runs, "csv")
    assert name == "trajectories-google-bert-bert-base-uncased-seed3.csv"
    here = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(tmp_path / "cache")}
    source = snippet(inputs, [PanelSettings("max_prob")]).python
    subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, env={**os.environ, **here}, check=True
    )
    assert lab.read(tmp_path / "trajectories.csv")[0].same_tokens(alone)


def test_name_that_was_not_loaded_is_no_task(hub):
    _, last = press(RunInputs(f"{BERT}@{COMMIT[:12]}", "Once upon"), [PanelSettings("max_prob")])
    assert "task must be one of" in last.values[0]["message"]
    assert not hub.requests


def test_load_that_is_stopped_leaves_nothing_known(hub):
    entry, stop = loaded_models.look_up(BERT), threading.Event()
    stop.set()
    with pytest.raises(ValueError, match="stopped"):
        load(entry, stop)
    assert not loaded_models.known() and not hub.fetched(".safetensors")


def test_load_waits_for_run_to_end(hub):
    entry, progress, stop = loaded_models.look_up(MINE), [], threading.Event()

    def report(words, share):
        progress.append(words)
        if "Waiting" in words:
            stop.set()

    with slot.LINE.ticket(), pytest.raises(ValueError, match="stopped"):
        loaded_models.load(entry, report, stop)
    assert any("you are next" in words for words in progress) and not loaded_models.known()
    load(entry)
    assert not len(slot.LINE) and entry.name in loaded_models.known()


def test_load_takes_only_what_was_looked_up(hub):
    entry, request = (
        loaded_models.look_up(BERT),
        SimpleNamespace(session_hash="a", client=None, headers={}),
    )
    for query in ((MINE, "float32"), (BERT, "bfloat16")):
        assert "look the model up first" in _load(*query, entry, [], request)[0]
    assert "look the model up first" in _load(BERT, "float32", None, [], request)[0]
    html, task, loaded = _load(BERT, "float32", entry, [], request, lambda *_, **__: None)
    assert "loaded" in html and task.value == entry.name and loaded == [entry.name]


def test_form_follows_model_and_finds_its_way_back(hub, tmp_path):
    opened = start_value("stories", misfits("stories"))
    hub.add("Qwen/Qwen3-0.6B", published.write(tmp_path / "network", "qwen3"))
    entry, _ = load(loaded_models.look_up("Qwen/Qwen3-0.6B"))
    form = settings_for(entry.name, opened)
    assert [panel and panel["sampler"] for panel in form["panels"]] == [
        "autoregressive", None, None, None
    ]  # fmt: skip
    assert settings_for("stories", form) == opened
    form["panels"][0] = None  # the visitor closes the one that is left
    form["panels"][1] = {"sampler": "autoregressive", "preset": None, "params": {"top_k": 3}}
    back = settings_for("stories", form)["panels"]
    assert back[0] is None and back[1] == form["panels"][1], "what fits there too is opened"
    assert back[2:] == opened["panels"][2:]
    tables = settings_for("capitals", opened)
    tables["panels"][1] = {"sampler": "uniform", "preset": None, "params": {}}
    assert settings_for("stories", tables)["panels"][1]["sampler"] not in ("uniform", None)
    again = settings_for("sudoku9", settings_for("stories", form))
    assert settings_for("stories", again)["panels"][0] is None


def test_run_pressed_before_task_came_back_takes_new_one():
    opened = start_value("stories", misfits("stories"))
    inputs, panels = run_request("sudoku9", "prompt", "Once upon a time", 0, 5, opened)
    assert inputs == RunInputs("sudoku9", template=examples("sudoku9")[0], seed=5)
    assert [one.sampler for one in panels] == [
        panel["sampler"] for panel in settings_for("sudoku9", opened)["panels"]
    ]
    arrived = settings_for("sudoku9", opened)
    inputs, _ = run_request("sudoku9", "template", "[MASK]*81", 0, 5, arrived)
    assert inputs.template == "[MASK]*81"


def test_text_from_elsewhere_is_only_text(hub):
    assert "<img" not in refusal(ValueError("<img src=x onerror=alert(1)>"))
    entry = loaded_models.look_up(BERT)
    hostile = loaded_models.ModelEntry(
        entry.query, entry.offer, entry.card, "<script>", "&", preset="<b>",
                          sampler="mdlm")  # fmt: skip
    assert not any(tag in summary(hostile, "<i>") for tag in ("<script>", "<b>", "<i>"))
    assert "&lt;script&gt;" in summary(hostile)
