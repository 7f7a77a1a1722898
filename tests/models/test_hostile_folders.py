"""Whatever a checkpoint's folder holds, the answer is one sentence of ours, soon and cheaply.

Folders of every kind are damaged by hand and by chance; each then opens, or is refused by a
ModelError within a second and 100 MB.
"""

import copy
import json
import os
import resource
import shutil
import socket
import struct
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lab
from lab.models.errors import ModelError
from lab.models.hub.download import SPARE
from lab.models.load import look_up
from tests.kit import published, tiny

SECONDS, BYTES = 1.0, 100e6  # of the processor: a shared machine's clock says little
SLOWER = 2  # what neighbours on the same core may cost
KINDS = ("full-absorbing", "causal-drafted", "quality-head", "bert", "modernbert", "qwen3",
         "qwen3-mdlm", "llada", "dream", "mdlm", "LLaDA2.1-mini")  # fmt: skip
PARTS = ("causal-drafted", "quality-head")  # of a model beside them, whose tokenizer is read
NAMES = ("config.json", "lab.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One folder of each kind, opened once: imports and caches are paid for."""
    place = tmp_path_factory.mktemp("originals")
    for kind in KINDS:
        ours = kind in (*tiny.KINDS, tiny.HEAD)
        (tiny if ours else published).write(place / kind / "network", kind)
        lab.load(str(place / kind / "network"))
    return place


@pytest.fixture
def folder_of(originals, tmp_path):
    def copied(kind):
        shutil.rmtree(tmp_path / kind, ignore_errors=True)
        shutil.copytree(originals / kind, tmp_path / kind)
        return tmp_path / kind / "network"

    return copied


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def refusal(folder, must=True):
    """Why it is not opened (None: it is), once that is one sentence that cost little."""
    began, before = time.process_time(), peak()
    try:
        lab.load(str(folder))
        words = None
    except ModelError as error:
        words = str(error)
    assert time.process_time() - began < SECONDS * SLOWER
    assert peak() - before < BYTES
    if words is None:
        assert not must, "it was opened"
        return None
    assert "\n" not in words and len(words) < 420 and str(folder) not in words, words
    assert words[-1] not in ".,:; ", words
    return words


def rewrite(path, **facts):
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def header(entries, data=b"", size=None):
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(raw) if size is None else size) + raw + data


DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
WEIGHTS = {
    "nothing": b"",
    "three bytes": b"abc",
    "a pickle": b"\x80\x04cos\nsystem\n(S'false'\ntR.",
    "a header of 2^63 bytes": header({}, size=1 << 63),
    "a header of 9 MB": header({"x": TENSOR, "y" * 9_000_000: TENSOR}),
    "a header longer than the file": header({}, size=5_000),
    "a header of no JSON": header(b"{not json"),
    "a header of a list": header([1, 2]),
    "a deep header": header(DEEP),
    "data that is missing": header({"x": TENSOR}),
    "a shape beyond its data": header({"x": {**TENSOR, "shape": [1 << 40]}}, b"\0" * 8),
    "a shape that overflows": header({"x": {**TENSOR, "shape": [1 << 62, 4]}}, b"\0" * 8),
    "a negative shape": header({"x": {**TENSOR, "shape": [-2]}}, b"\0" * 8),
    "an unknown dtype": header({"x": {**TENSOR, "dtype": "F7"}}, b"\0" * 8),
    "no tensors": header({}),
    "one tensor that is not its own": header({"x": TENSOR}, b"\0" * 8),
    "a tensor of a layer far out": header({"model.layers.99999999.x": TENSOR}, b"\0" * 8),
}


@pytest.mark.parametrize("kind", ["full-absorbing", "bert", "mdlm", *PARTS])
@pytest.mark.parametrize("damage", WEIGHTS)
def test_damaged_weights_are_refused(kind, damage, folder_of):
    folder = folder_of(kind)
    (folder / "model.safetensors").write_bytes(WEIGHTS[damage])
    refusal(folder)


TEXTS = {
    "nothing": b"",
    "no JSON": b"{'a': 1}",
    "half": b'{"vocab_size": 29',
    "a list": b"[1, 2]",
    "null": b"null",
    "a number": b"7",
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "NULs": b"\0" * 100,
    "deep": DEEP,
    "a number of 5,000 digits": b'{"vocab_size": ' + b"9" * 5_000 + b"}",
    "5 MB": b'{"a": "' + b"x" * 5_000_000 + b'"}',
    "empty object": b"{}",
}


@pytest.mark.parametrize("name", ["config.json", "lab.json", "tokenizer.json",
                                  "tokenizer_config.json", "model.safetensors.index.json",
                                  "generation_config.json", "special_tokens_map.json"])  # fmt: skip
@pytest.mark.parametrize("damage", TEXTS)
def test_damaged_json_is_refused(name, damage, folder_of):
    for kind in ("full-absorbing", "bert", *PARTS):
        folder = folder_of(kind)
        (folder / name).write_bytes(TEXTS[damage])
        needed = name in ("config.json", "lab.json", "tokenizer.json") and damage != "empty object"
        spare = kind in PARTS and name == "tokenizer.json"
        refusal(folder, must=needed and not spare)


def fifo(path, outside):
    os.mkfifo(path)


def sock(path, outside):
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # an address may have 107 characters
    try:
        server.bind(path.name)
    finally:
        os.chdir(here)
        server.close()


KINDS_OF_FILE = {
    "a pipe": fifo,
    "a socket": sock,
    "a folder": lambda path, outside: path.mkdir(),
    "a device": lambda path, outside: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path, outside: path.symlink_to("gone"),
    "a link to itself": lambda path, outside: path.symlink_to(path.name),
    "a link out": lambda path, outside: path.symlink_to(outside),
    "a link to a password file": lambda path, outside: path.symlink_to("/etc/passwd"),
}


@pytest.mark.parametrize("name", [*NAMES, "generation_config.json", "chat_template.jinja"])
@pytest.mark.parametrize("damage", KINDS_OF_FILE)
def test_what_is_no_file_of_folder_is_refused(name, damage, folder_of, tmp_path):
    folder, outside = folder_of("full-absorbing"), tmp_path / "outside"
    path = folder / name
    path.touch()
    shutil.copy(path, outside)
    path.unlink()
    KINDS_OF_FILE[damage](path, outside)
    assert name in refusal(folder)


def test_links_of_hubs_cache_are_followed(folder_of, tmp_path):
    plain, snapshot = folder_of("full-absorbing"), tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sorted(plain.iterdir())):
        shutil.move(file, blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    assert refusal(snapshot, must=False) is None


HUGE = [20_000, 10**9, 10**30, -1, 0, 1.5, 1e300, "many", None, [2], {"a": 2}, True]
SIZES = ("num_hidden_layers", "hidden_size", "vocab_size", "intermediate_size", "head_dim",
         "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "layer_types",
         "rope_parameters", "hidden_act", "torch_dtype", "model_type", "architectures",
         "num_experts", "type_vocab_size", "pad_token_id", "quantization_config",
         "tie_word_embeddings", "block_size", "n_layers", "d_model", "attn_implementation",
         "transformers_weights", "sliding_window", "auto_map", "n_routed_experts")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_absurd_sizes_are_refused_before_memory_is_taken(kind, folder_of):
    original = folder_of(kind) / "config.json"
    before = original.read_text()
    pairs = list(product(SIZES, HUGE))
    for name, value in pairs[KINDS.index(kind) :: len(KINDS)]:  # each once, spread over the kinds
        original.write_text(before)
        rewrite(original, **{name: value})
        refusal(original.parent, must=False)


@pytest.mark.parametrize("kind", ["full-absorbing", "bert", "qwen3", "llada", "LLaDA2.1-mini"])
@pytest.mark.parametrize("size", ["num_hidden_layers", "hidden_size", "vocab_size"])
def test_sizes_beyond_weights_are_named(kind, size, folder_of):
    folder = folder_of(kind)
    names = {"num_hidden_layers": "n_layers", "hidden_size": "d_model"} if kind == "llada" else {}
    rewrite(folder / "config.json", **{names.get(size, size): 20_000})
    words = refusal(folder)
    assert "different checkpoints" in words or "of another shape" in words, words


FACTS = ("name", "task", "attention", "corruption", "posterior", "schedule", "p_uniform",
         "noise_ids", "time_conditioned", "block_lengths", "draft_length", "joint_length",
         "context", "length", "vocab_size", "mask_id", "pad_id", "bos_id", "eos_ids", "start_id",
         "target")  # fmt: skip


@pytest.mark.parametrize("kind", ["full-absorbing", *PARTS])
def test_absurd_facts_in_lab_json_are_refused(kind, folder_of):
    folder = folder_of(kind)
    before = (folder / "lab.json").read_text()
    for name in FACTS:
        for value in [*HUGE[:-3], "sideways", "../..", "network", "/", [-1], [10**9], [["a"]]]:
            (folder / "lab.json").write_text(before)
            rewrite(folder / "lab.json", **{name: value})
            refusal(folder, must=False)


def test_shards_outside_folder_are_refused(folder_of, tmp_path):
    folder = folder_of("bert")
    shutil.move(folder / "model.safetensors", folder.parent / "model.safetensors")
    shutil.copy(folder.parent / "model.safetensors", folder / "other.safetensors")
    for name in ("../model.safetensors", str(folder.parent / "model.safetensors"), "gone", 7):
        index = {"metadata": {}, "weight_map": {"bert.embeddings.word_embeddings.weight": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        assert "not in its folder" in refusal(folder)


def test_adapter_is_refused_before_its_base_is_looked_for(folder_of):
    folder = folder_of("qwen3")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "../other"}')
    assert "merge the two" in refusal(folder)


def test_estimate_of_memory_agrees_with_config(folder_of):
    """What is promised before loading comes from the weights; a config beyond them is refused."""
    folder = folder_of("bert")
    size = (folder / "model.safetensors").stat().st_size
    assert look_up(str(folder)).memory == pytest.approx(size * SPARE, rel=0.1)
    rewrite(folder / "config.json", num_hidden_layers=20_000)
    with pytest.raises(ModelError, match=r"num_hidden_layers 20000, but its weights have 3"):
        look_up(str(folder))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([*HUGE[:7], "gpt2", "../x", "<|mask|>", [], {}]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value, path=()):
    """Every place within a JSON value, but for the long vocabulary."""
    yield path
    if len(path) < 4 and isinstance(value, (dict, list)) and len(value) < 100:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def put(value, path, fresh, remove):
    whole = copy.deepcopy(value)
    if not path:
        return fresh
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = fresh
    return whole


@settings(max_examples=300, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(data=st.data())
def test_folder_damaged_by_chance_opens_or_is_refused(folder_of, data):
    folder = folder_of(data.draw(st.sampled_from(KINDS)))
    for _ in range(data.draw(st.integers(1, 3))):
        file = data.draw(st.sampled_from(sorted(f for f in folder.iterdir() if f.is_file())))
        raw = file.read_bytes()
        how = data.draw(st.sampled_from(["value", "value", "value", "cut", "bytes", "gone"]))
        if how == "value" and file.suffix == ".json":
            try:
                value = json.loads(raw)
            except ValueError:
                continue
            path = data.draw(st.sampled_from(sorted(places(value), key=str)))
            fresh, remove = data.draw(VALUES), data.draw(st.booleans())
            file.write_text(json.dumps(put(value, path, fresh, remove)))
        elif how == "cut":
            file.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
        elif how == "bytes" and raw:
            at = data.draw(st.integers(0, len(raw) - 1))
            fresh = data.draw(st.binary(min_size=1, max_size=8))
            file.write_bytes(raw[:at] + fresh + raw[at + len(fresh) :])
        elif how == "gone":
            file.unlink()
    refusal(folder, must=False)
