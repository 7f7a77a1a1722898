"""Open a folder's tokenizer and network by transformers: nothing is run that stands beside them,
nothing is shown, and nothing is built that the weights cannot fill."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from lab.models.checkpoint_files import check_weights, read_json, stored_numbers
from lab.models.errors import ModelError
from lab.models.model import LOADING

# A model may have more numbers than its weights: tied tensors stand once in a file, buffers never.
MOST_TIMES = 2
MOST_QUANTIZED = 10  # eight weights in one stored number
MOST_BUFFERS = 1 << 26


@contextmanager
def quiet() -> Iterator[None]:
    """One load at a time, with no bar and no report: progress is the consumer's to show."""
    from transformers.utils import logging

    with LOADING:
        bar, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bar:
                logging.enable_progress_bar()


def read_tokenizer(folder: Path, loader: str = "AutoTokenizer", trusted: bool = False) -> Any:
    """The tokenizer in a folder, by that class of transformers.

    A whole tokenizer in one file needs no class of its own, nor the code that comes with it: where
    it names code that is not trusted, it is read without.
    """
    import transformers

    if (folder / "tokenizer.json").exists():
        files = [folder / name for name in ("tokenizer_config.json", "config.json")]
        coded = any("auto_map" in read_json(file) for file in files if file.exists())
        loader = "PreTrainedTokenizerFast" if coded and not trusted else "AutoTokenizer"
    with quiet():
        reader = getattr(transformers, loader)
        tokenizer = reader.from_pretrained(folder, trust_remote_code=trusted)
    return tokenizer


def read_own_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint of the lab's own, whose words are a list where it has one."""
    tokenizer = read_tokenizer(folder)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "WordLevel":
        return tokenizer
    if backend.normalizer is None or backend.pre_tokenizer is None:
        raise ModelError(
            f"the word tokenizer in {folder.name} lacks a normalizer or a pre_tokenizer, with "
            "which the lab writes one; leave lab.json out to open it as transformers does"
        )
    from lab.models.word_tokenizer import WordTokenizer

    with quiet():
        return WordTokenizer.from_pretrained(folder, trust_remote_code=False)


def read_network(
    loader: Any,
    folder: Path,
    *,
    config: Any = None,
    trusted: bool = False,
    all_known: bool = False,
    **options: Any,
) -> Any:
    """The network in a folder, by a class of transformers that has from_pretrained.

    config: its config, where that is not the folder's. all_known: the weights hold no tensor that
    the network has no place for. options: further ones of from_pretrained, over float32 and sdpa.
    ModelError where config and weights do not fit each other, before memory is taken.
    """
    written, shapes = check_weights(folder)
    options = {"dtype": torch.float32, "attn_implementation": "sdpa", **options}
    if config is not None:
        options["config"] = config
    with quiet():
        if not trusted:
            _check_size(loader, folder, config, written, stored_numbers(shapes))
        network, report = loader.from_pretrained(
            folder, trust_remote_code=trusted, output_loading_info=True, use_safetensors=True,
            ignore_mismatched_sizes=True,  # _check_fit names them
            **{name: value for name, value in options.items() if value is not None},
        )  # fmt: skip
    _check_fit(network, report, folder, all_known)
    return network


def _check_size(
    loader: Any, folder: Path, config: Any, written: Mapping[str, Any], stored: int
) -> None:
    """ModelError where the network would hold far more numbers than the weights do."""
    config = deepcopy(config) if config is not None else own_config(folder, written)
    build = getattr(loader, "_from_config", None)
    with torch.device("meta"):
        network = build(config) if build else loader.from_config(config, trust_remote_code=False)
    size = sum(parameter.numel() for parameter in network.parameters())
    buffers = sum(buffer.numel() for buffer in network.buffers())
    times = MOST_QUANTIZED if "quantization_config" in written else MOST_TIMES
    if size > times * stored + (1 << 20) or buffers > times * stored + MOST_BUFFERS:
        raise ModelError(
            f"config.json of {folder.name} describes a model of {size + buffers:.3g} numbers, its "
            f"weights hold {stored:.3g}; the two belong to different checkpoints: fetch them again"
        )


def own_config(folder: Path, written: Mapping[str, Any]) -> Any:
    """The folder's config under transformers' own class. ModelError where only code has one."""
    from transformers import CONFIG_MAPPING, AutoConfig

    kind = written.get("model_type")
    if kind not in CONFIG_MAPPING:
        needs = "the code beside its weights" if "auto_map" in written else "a class"
        raise ModelError(
            f"{folder.name} is of model type {str(kind)[:60]!r}, which takes {needs} that "
            "transformers does not have; the lab does not run it: wrap the model by lab.wrap"
        )
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def _check_fit(
    network: torch.nn.Module, report: dict[str, Any], folder: Path, all_known: bool
) -> None:
    """ModelError where a folder's weights lack a tensor of the network or have it in another shape.

    report: what from_pretrained gives with output_loading_info. all_known: also where they hold a
    tensor that the network has no place for.
    """
    bad = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    what = "are missing or of another shape"
    if all_known and not bad:
        bad, what = set(report["unexpected_keys"]), "have no place in it"
    if bad:
        raise ModelError(
            f"the weights in {folder.name} do not fit {type(network).__name__}: {len(bad)} tensors "
            f"{what}, {min(bad)} among them"
        )
