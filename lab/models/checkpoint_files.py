"""The files of a checkpoint's folder, read so that none can hang, exhaust memory or mislead.

They come from strangers: whatever they hold, the answer is a ModelError.
"""

import json
import math
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.models.errors import ModelError, explain_errors

Shapes = dict[str, tuple[int, ...]]

# Bytes, several times those of the largest published ones.
MOST_JSON = 4 << 20
MOST_WORDS = 64 << 20  # a tokenizer's vocabulary: Gemma's has 33 MB
MOST_HEADER = 8 << 20  # of one safetensors file: room for 80,000 tensors
WORDS = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model")
MOST_FILES = 10_000
LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "n_blocks")
SHARED_LAYERS = "num_hidden_groups"  # ALBERT uses one layer's weights for all
NUMBER = re.compile(r"(?:^|\.)(\d{1,9})(?:\.|$)")


def check_files(folder: Path) -> None:
    """ModelError for a file that is none, leads out of the folder or is far too large.

    Links of the hub's cache, from a snapshot to the repository's blobs, stay within.
    """
    with explain_errors(folder.name):
        home = folder.resolve()
        homes = [home]
        if home.parent.name == "snapshots":
            homes.append(home.parent.parent / "blobs")
        for number, path in enumerate(folder.iterdir()):
            if number >= MOST_FILES:
                raise ModelError(
                    f"{folder.name} has more than {MOST_FILES} files; give a checkpoint's folder"
                )
            _check_file(path, folder.name, homes)


def _check_file(path: Path, name: str, homes: list[Path]) -> None:
    nothing = f"{path.name} of {name} is a link to nothing; put the file there"
    try:
        target = path.resolve()
    except RuntimeError:  # a link that comes back to itself
        raise ModelError(nothing) from None
    if path.is_symlink() and not any(target.is_relative_to(home) for home in homes):
        raise ModelError(f"{path.name} of {name} is a link out of its folder; copy the file there")
    try:
        status = path.stat()
    except OSError:
        raise ModelError(nothing) from None
    if stat.S_ISDIR(status.st_mode):
        if path.suffix in (".json", ".safetensors", ".txt", ".jinja"):
            raise ModelError(f"{path.name} of {name} must be a file, it is a folder; replace it")
        return
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(
            f"{path.name} of {name} must be a file, it is a pipe or a device; remove it"
        )
    most = MOST_WORDS if path.name in WORDS else MOST_JSON
    if path.suffix in (".json", ".txt", ".jinja", ".model") and status.st_size > most:
        raise ModelError(
            f"{path.name} of {name} may have at most {most >> 20} MB, it has "
            f"{status.st_size / 1e6:.1f}; check that it is what its name says"
        )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a folder that `check_files` has passed."""
    name = f"{path.name} of {path.parent.name}"
    if not path.exists():
        raise ModelError(f"{path.parent.name} has no {path.name}; put it beside the weights")
    try:
        value = json.loads(path.read_text("utf-8"))
    except RecursionError:
        raise ModelError(f"{name} is nested too deeply to be read; replace it") from None
    except ValueError as error:  # no JSON, no UTF-8
        raise ModelError(f"{name} must be JSON, {_where(error)}; fetch it again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{name} must be a JSON object, got {type(value).__name__}; replace it")
    return value


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it fails at line {error.lineno}, column {error.colno}"
    return (
        "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "a number is too long"
    )


def read_shapes(folder: Path) -> Shapes:
    """Name and shape of every tensor in a folder's *.safetensors, from the files' headers alone."""
    from safetensors import SafetensorError, safe_open

    shapes: Shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            header = int.from_bytes(stream.read(8), "little")
        if header > MOST_HEADER:
            raise ModelError(
                f"the header of {file.name} may have at most {MOST_HEADER >> 20} MB, it says "
                f"{header / 1e6:.1f}; the file is damaged: fetch it again"
            )
        try:
            with safe_open(file, "pt") as weights:
                for name in weights.keys():  # noqa: SIM118 (no mapping)
                    shapes[name] = tuple(weights.get_slice(name).get_shape())
        except SafetensorError as error:
            raise ModelError(
                f"{file.name} of {folder.name} is not whole ({str(error)[:80]}); fetch it again"
            ) from None
    return shapes


def stored_numbers(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes.values())


def _check_index(folder: Path) -> None:
    """ModelError where model.safetensors.index.json names files that are not in the folder."""
    path = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not path.exists():
        return
    files = read_json(path).get("weight_map")
    names = files.values() if isinstance(files, dict) else [None]
    for name in {str(name) for name in names}:
        plain = "/" not in name and "\\" not in name and name.endswith(".safetensors")
        if not plain or not (folder / name).is_file():
            raise ModelError(
                f"{path.name} of {folder.name} names weights {name[:60]!r}, which are not in its "
                "folder; fetch the checkpoint again"
            )


def check_weights(folder: Path) -> tuple[dict[str, Any], Shapes]:
    """config.json and the shapes of the weights, once they are known to belong together.

    ModelError where they do not, and for an adapter, pickled weights or files that are not whole.
    """
    if not list(folder.glob("*.safetensors")):
        raise ModelError(no_safetensors(folder.name))
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{folder.name} holds an adapter (adapter_config.json), which goes on top of another "
            "model; merge the two and save the whole"
        )
    _check_index(folder)
    config, shapes = read_json(folder / "config.json"), read_shapes(folder)
    check_config(config, shapes, folder.name)
    return config, shapes


def no_safetensors(name: str) -> str:
    """Why weights in another format stay closed: reading a pickle runs what stands in it."""
    return (
        f"no safetensors weights in {name}: pickled weights (.bin, .pt, .ckpt) are not "
        "opened; convert them with save_pretrained first"
    )


def check_config(config: Mapping[str, Any], shapes: Shapes, name: str) -> None:
    """ModelError where config.json describes layers or experts that the weights do not hold.

    Said from the weights' headers, before a model of that many layers is built.
    """
    if "transformers_weights" in config:
        raise ModelError(
            f"config.json of {name} names other weights; take transformers_weights out"
        )
    numbers = [int(digits) for key in shapes for digits in NUMBER.findall(key)]
    layers = 1 + max(numbers, default=-1)
    largest = max([layers, len(shapes), *(size for shape in shapes.values() for size in shape)])
    for part in _objects(config):
        for key, value in part.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if key in LAYERS and value > layers and SHARED_LAYERS not in part:
                raise _misfit(name, key, value, f"its weights have {layers}")
            if "expert" in key and key.startswith("n") and value > largest:
                raise _misfit(name, key, value, f"its weights have at most {largest}")
            if key == SHARED_LAYERS and value > layers:
                raise _misfit(name, key, value, f"its weights have {layers}")


def _misfit(name: str, key: str, value: float, reason: str) -> ModelError:
    return ModelError(
        f"config.json of {name} says {key} {str(value)[:40]}, but {reason}; the two belong to "
        "different checkpoints: fetch them again"
    )


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """A JSON object and all objects within it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
