"""Text into training windows: corpus, byte-level BPE, packed stream, windows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lab.tasks.split import generator

MASK, PAD, BOS, EOS = "<|mask|>", "<|pad|>", "<|bos|>", "<|eos|>"
SPECIAL = (MASK, PAD, BOS, EOS)
TINY_STORIES = "roneneldan/TinyStories"  # arXiv:2305.07759


@dataclass(frozen=True)
class Corpus:
    """Stories that train and stories that never do."""

    train: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Stream:
    """Packed stories: tokens [N] int32 (bos + story + eos, and so on), starts [S] of the bos."""

    tokens: torch.Tensor
    starts: torch.Tensor


def read_corpus(source: str, held_out: str = "valid_v2", field: str = "text") -> Corpus:
    """Read a .txt (stories separated by blank lines), a .jsonl, or a hub data set by its name.

    Lines of a jsonl whose "split" equals `held_out` never train; without such a split every
    twentieth story is held out. Raises ValueError for missing or empty data.
    """
    path = Path(source)
    if path.suffix in (".txt", ".jsonl", ".json") or path.exists():
        if not path.is_file():
            raise ValueError(f"data must be an existing file or a hub data set, got '{source}'")
        corpus = _read_file(path, held_out, field)
    else:
        corpus = _read_hub(source, held_out, field)
    if not corpus.train or not corpus.held_out:
        raise ValueError(
            f"data must hold at least two stories, one to train and one to hold out: '{source}' "
            f"gave {len(corpus.train)} and {len(corpus.held_out)}; check the file or --held-out"
        )
    return corpus


def _read_file(path: Path, held_out: str, field: str) -> Corpus:
    raw = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        return _every_twentieth([part.strip() for part in raw.split("\n\n")])
    train: list[str] = []
    valid: list[str] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = row[field].strip()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{path.name} must hold one JSON object a line with "{field}" as text; '
                f"line {number} does not ({type(error).__name__}); name the field by --field"
            ) from error
        if text:
            (valid if row.get("split") == held_out else train).append(text)
    return Corpus(train, valid) if valid else _every_twentieth(train)


def _read_hub(name: str, held_out: str, field: str) -> Corpus:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ValueError(
            f"no file '{name}'; to read it as a hub data set run `pip install datasets` first"
        ) from error
    try:
        splits = load_dataset(name)
    except Exception as error:  # whatever the network, the hub or a broken file comes up with
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"data must be an existing file or a hub data set, got '{name}', and the hub does not "
            f"give it: {reason}; check the name and the network, or name a .jsonl or .txt file"
        ) from error
    first = next(iter(splits.values()))
    if field not in first.column_names:
        raise ValueError(
            f"'{name}' has no column '{field}'; there are {', '.join(first.column_names)}; "
            "name one by --field"
        )
    valid = next((key for key in (held_out, "validation", "test") if key in splits), None)
    train = [text for key, rows in splits.items() if key != valid for text in rows[field] if text]
    return Corpus(train, list(splits[valid][field])) if valid else _every_twentieth(train)


def _every_twentieth(stories: list[str]) -> Corpus:
    stories = [story for story in stories if story]
    held_out = stories[19::20] or stories[1:][-1:]
    train = [story for number, story in enumerate(stories) if number % 20 != 19]
    return Corpus(train if stories[19::20] else stories[:-1] or stories, held_out)


def train_tokenizer(texts: list[str], vocab_size: int = 4096) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE; the four special tokens come first and are distinct."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bos_id = tokenizer.token_to_id(BOS)
    # add_special_tokens=True means: as a story starts in training.
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos_id)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        mask_token=MASK,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
    )


def check_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise ValueError unless mask, pad, bos and eos exist and are four different tokens.

    Where text begins and ends by other names (BERT's [CLS] and [SEP]), those are bos and eos.
    """
    if tokenizer.bos_token is None and tokenizer.cls_token is not None:
        tokenizer.bos_token, tokenizer.eos_token = tokenizer.cls_token, tokenizer.sep_token
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("mask", "pad", "bos", "eos")}
    missing = [name for name, value in ids.items() if value is None]
    if missing:
        raise ValueError(
            f"the vocabulary must have mask, pad, bos and eos tokens; it lacks {', '.join(missing)}"
            "; train one with this command (leave --tokenizer out) or add them to its config"
        )
    if len(set(ids.values())) < len(ids):
        raise ValueError(f"mask, pad, bos and eos must be four different tokens, got {ids}")


def pack(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Stream:
    """Encode stories as bos + tokens + eos and join them; text is never read as a special token."""
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokens, lengths = [], []
    for first in range(0, len(texts), 10_000):  # all at once, TinyStories needs tens of GB
        encoded = tokenizer(
            texts[first : first + 10_000], add_special_tokens=False, split_special_tokens=True
        )["input_ids"]
        stories = [[bos, *story, eos] for story in encoded]
        tokens.append(torch.tensor([token for story in stories for token in story]).int())
        lengths.append(torch.tensor([len(story) for story in stories]))
    length = torch.cat(lengths)
    return Stream(torch.cat(tokens), length.cumsum(0) - length)


def seed_from(random: torch.Generator) -> int:
    """A seed for what draws by a number, not by a generator."""
    return int(torch.randint(2**62, (1,), generator=random))


def window_length(lengths: tuple[int, ...], seed: int, step: int) -> int:
    """Columns of the batch of this step: the same for every process, so that none waits long."""
    draw = torch.randint(len(lengths), (1,), generator=generator(seed, step, 1))
    return lengths[int(draw)]


def windows(stream: Stream, rows: int, length: int, random: torch.Generator) -> torch.Tensor:
    """Cut rows windows [rows, length]: half from a story's start, the rest from anywhere."""
    last = len(stream.tokens) - length
    if last < 0:
        raise ValueError(
            f"data must hold at least one window of {length} tokens, got {len(stream.tokens)}; "
            "give more text or a smaller --context"
        )
    story = stream.starts[torch.randint(len(stream.starts), (rows,), generator=random)]
    anywhere = torch.randint(last + 1, (rows,), generator=random)
    first = torch.where(torch.rand(rows, generator=random) < 0.5, story, anywhere).clamp(max=last)
    return stream.tokens[first[:, None] + torch.arange(length)].long()
