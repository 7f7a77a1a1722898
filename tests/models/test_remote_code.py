"""Code beside weights runs where a user named that model and switched it on, and nowhere else."""

import ast
import json
import os
from pathlib import Path

import pytest

import lab
from lab.models.hub.connection import on_space
from lab.train.learner import open_network
from tests.kit import published, tiny

LAB = Path(lab.__file__).parent
LOADERS = ("from_pretrained", "from_config")
ALLOWED = ("trust_remote_code", "trusted")  # variables that hold what the user chose

CODE = """
from pathlib import Path

import transformers

Path({marker!r}).touch()


class Config(transformers.Qwen3Config):
    model_type = "unheard-of"


class Model(transformers.Qwen3ForCausalLM):
    config_class = Config


class Words(transformers.PreTrainedTokenizerFast):
    pass
"""
MAP = {"AutoConfig": "code.Config", "AutoModel": "code.Model", "AutoModelForCausalLM": "code.Model",
       "AutoModelForMaskedLM": "code.Model", "AutoTokenizer": ["code.Words", None]}  # fmt: skip


def calls():
    for file in sorted(LAB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and node.func
            if called and getattr(called, "attr", getattr(called, "id", "")) in LOADERS:
                yield f"{file.relative_to(LAB.parent)}:{node.lineno}", node


def test_every_loader_call_says_whether_code_is_trusted():
    by_place = dict(calls())
    assert len(by_place) >= 8
    for place, call in by_place.items():
        values = [word.value for word in call.keywords if word.arg == "trust_remote_code"]
        assert len(values) == 1, f"{place} leaves trust_remote_code to transformers, which asks"
        (value,) = values
        never = isinstance(value, ast.Constant) and value.value is False
        assert never or (isinstance(value, ast.Name) and value.id in ALLOWED), place


def test_no_loader_is_called_under_another_name():
    for file in sorted(LAB.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        loose = [node for node in ast.walk(tree)
                 if getattr(node, "attr", "") in LOADERS and id(node) not in called]  # fmt: skip
        assert not loose, f"{file} hands {loose[0].attr} on" if loose else ""


@pytest.fixture
def marker(tmp_path, monkeypatch):
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("a question on stdin"))
    return tmp_path / "marker"


def folder_with_code(tmp_path, marker, kind, where, unknown):
    """A checkpoint whose config or tokenizer names code that writes the marker."""
    ours = kind in tiny.KINDS
    folder = (tiny if ours else published).write(tmp_path / "network", kind)
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    if where == "config":
        facts = {"model_type": "unheard-of"} if unknown else {}
        published.change(folder, auto_map=MAP, **facts)
    else:
        path = folder / "tokenizer_config.json"
        words = {**json.loads(path.read_text()), "auto_map": MAP}
        words |= {"tokenizer_class": "Words"} if unknown else {}
        path.write_text(json.dumps(words))
    return folder


@pytest.mark.parametrize("unknown", [False, True], ids=["known class", "class of its own"])
@pytest.mark.parametrize("where", ["config", "tokenizer"])
@pytest.mark.parametrize("kind", ["full-absorbing", "qwen3", "bert", "dream", "qwen3-mdlm"])
def test_untrusted_code_never_runs(kind, where, unknown, tmp_path, marker):
    """A stock class opens the folder without that code; what only the code can open is refused."""
    folder = folder_with_code(tmp_path, marker, kind, where, unknown)
    refused = unknown and where == "config"
    if refused:
        reason = r"(takes the code beside its weights that|does not support the architecture)"
        with pytest.raises(ValueError, match=reason):
            lab.load(str(folder))
    else:
        assert lab.load(str(folder)).tokenizer.mask_token or kind == "qwen3"
    assert not marker.exists()


@pytest.mark.parametrize("unknown", [False, True], ids=["known class", "class of its own"])
def test_trainer_runs_no_code_of_its_start(unknown, tmp_path, marker):
    folder = folder_with_code(tmp_path, marker, "qwen3", "config", unknown)
    if unknown:
        with pytest.raises(ValueError, match=r"trust_remote_code"):
            open_network(str(folder))
    else:
        open_network(str(folder))
    assert not marker.exists()


def test_trust_does_not_reach_families_that_need_no_code(tmp_path, marker):
    folder = folder_with_code(tmp_path, marker, "dream", "config", False)
    lab.load(str(folder), trust_remote_code=bool(os.environ))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["SPACE_ID", "SYSTEM"])
def test_public_page_refuses_code_whatever_is_asked_for(name, tmp_path, marker, monkeypatch):
    folder = folder_with_code(tmp_path, marker, "qwen3", "config", True)
    monkeypatch.setenv(name, "spaces")
    assert on_space()
    for model in (str(folder), "some/model", "stories-mdlm"):
        with pytest.raises(ValueError, match=r"on this public page no code beside weights is run"):
            lab.load(model, trust_remote_code=bool(os.environ))
    assert not marker.exists()


def test_another_system_is_no_public_page(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    for system in ("", "linux", "Spaces-like"):
        monkeypatch.setenv("SYSTEM", system)
        assert not on_space()
