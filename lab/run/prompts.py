"""From prompts (text, chats, templates, ids) to a canvas of masked positions, and back to text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy import ndarray

from lab.models.model import Model, ModelCard
from lab.run import limits
from samplers.canvas import Canvas
from samplers.signature import brief

Options = Mapping[str, Any]
MASKED = re.compile(r" ?\[MASK\](?:\*(\d{1,5}))?")


@dataclass(frozen=True)
class Row:
    """One row before it is laid out: token ids, and which of them are masked positions."""

    ids: tuple[int, ...]
    masked: tuple[bool, ...]

    @property
    def first_masked(self) -> int:
        return self.masked.index(True)


def as_list(prompts: Any) -> list[Any]:
    """One prompt or many -> a list of prompts (text, chats or id lists). ValueError otherwise.

    A list of whole numbers is one prompt of token ids, a list of turns one chat.
    """
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts, Sequence) and not isinstance(prompts, bytes) and prompts:
        if all(isinstance(turn, dict) for turn in prompts) or all(map(_is_whole, prompts)):
            return [_plain(prompts)]
        if all(isinstance(p, (str, list, tuple)) for p in prompts):
            return [p if isinstance(p, str) else _plain(p) for p in prompts]
    raise ValueError(
        "prompts must be text, token ids, a chat ({role, content}) or a list of those, got "
        f"{brief(prompts)}"
    )


def is_chat(prompt: Any) -> bool:
    """Whether one prompt is a chat: a list of turns."""
    text = isinstance(prompt, str)
    return not text and bool(prompt) and all(isinstance(turn, dict) for turn in prompt)


def _plain(prompt: Sequence[Any]) -> list[Any]:
    """A list that JSON can hold, whatever kind of whole numbers the ids are."""
    return [int(token) if _is_whole(token) else token for token in prompt]


def _is_whole(token: Any) -> bool:
    return isinstance(token, Integral) and not isinstance(token, bool)


def encode(model: Model, prompt: Any, options: Options | None = None) -> list[int]:
    """Token ids of one prompt: text, a chat, or ids, which are checked and taken as they are.

    options: what the model's chat template takes besides the chat.
    """
    if isinstance(prompt, str):
        return _text_ids(model, prompt)
    if is_chat(prompt):
        return _chat_ids(model, prompt, options or {})
    for token in prompt:
        if not _is_whole(token) or not 0 <= token < model.card.vocab_size:
            raise ValueError(
                f"prompt ids must be whole numbers from 0 to {model.card.vocab_size - 1}, "
                f"got {brief(token)}"
            )
    return list(prompt)


def prompt_ids(model: Model, prompt: Any, options: Options | None = None) -> list[int]:
    """Token ids of one prompt; an empty one is the model's start token, where it has one."""
    ids = encode(model, prompt, options)
    return [model.card.bos_id] if not ids and model.card.bos_id is not None else ids


def prompt_row(model: Model, ids: Sequence[int], gen_length: int) -> Row:
    """A prompt's ids followed by gen_length masked positions."""
    masked = [model.card.mask_id or 0] * gen_length
    return Row((*ids, *masked), (False,) * len(ids) + (True,) * gen_length)


def template_row(model: Model, template: Any, options: Options | None = None) -> Row:
    """A template as a row: text with [MASK] or [MASK]*8, or ids among which the mask id stands.

    One space before a masked position belongs to the token that will fill it. A causal model cannot
    answer for the first column: its start token goes before a masked position there.
    """
    mask = model.card.mask_id or 0
    if not isinstance(template, str):
        if is_chat(template):
            template = _render(model, template, options or {})
        else:
            ids = encode(model, template)
            return _with_start(model, ids, [token == mask for token in ids])
    ids, masked, start = list[int](), list[bool](), 0
    for match in MASKED.finditer(template):
        text = _text_ids(model, template[start : match.start()])
        count = int(match[1] or 1)
        if len(ids) + count > limits.GEN_LENGTH:
            raise ValueError(
                f"a template must have at most {limits.GEN_LENGTH} tokens, got more at "
                f"{match[0].strip()}; ask for fewer masked positions"
            )
        ids += [*text, *[mask] * count]
        masked += [False] * len(text) + [True] * count
        start = match.end()
    text = _text_ids(model, template[start:])
    return _with_start(model, [*ids, *text], [*masked, *[False] * len(text)])


def draft_ids(model: Model, draft: Any) -> list[int]:
    """Ids of a draft: text, with [MASK] for what is open, or ids. ValueError for one that ends."""
    card = model.card
    template = isinstance(draft, str) and MASKED.search(draft)
    ids = list(template_row(model, draft).ids) if template else encode(model, draft)
    if ends := [token for token in ids if token in card.eos_ids or token == card.pad_id]:
        raise ValueError(f"a draft must not end the text, got id {ends[0]}; leave out what follows")
    return ids


def with_draft(row: Row, ids: Sequence[int]) -> Row:
    """The row with a draft in its first masked positions; ValueError where they are too few."""
    places = [place for place, masked in enumerate(row.masked) if masked]
    if not 1 <= len(ids) <= len(places):
        raise ValueError(f"a draft must have 1 to {len(places)} tokens, for so many positions "
                         f"are masked, got {len(ids)}; shorten it or raise gen_length")  # fmt: skip
    tokens = list(row.ids)
    for place, token in zip(places, ids, strict=False):
        tokens[place] = token
    return Row(tuple(tokens), row.masked)


def lay_out(
    rows: Sequence[Row], card: ModelCard, layout: str = "whole", block_length: int | None = None
) -> Canvas:
    """Lay rows side by side, padded on the left so that their blocks share columns.

    `first`: blocks are counted from each row's first token, so a shorter row is moved by whole
    blocks; else the first masked positions share a column. Pads, also those right of a shorter row,
    are invisible.
    """
    first = [row.first_masked for row in rows]
    if layout == "first" and block_length:
        most = max(masked // block_length for masked in first)
        shift = [(most - masked // block_length) * block_length for masked in first]
    else:
        shift = [max(first) - masked for masked in first]
    width = max(s + len(row.ids) for s, row in zip(shift, rows, strict=True))
    tokens = torch.full((len(rows), width), card.pad_id or 0, dtype=torch.int64)
    writable = torch.zeros(len(rows), width, dtype=torch.bool)
    visible = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, (s, row) in enumerate(zip(shift, rows, strict=True)):
        span = slice(s, s + len(row.ids))
        tokens[i, span] = torch.tensor(row.ids)
        writable[i, span] = torch.tensor(row.masked)
        visible[i, span] = True
    return Canvas(tokens, writable, visible, card.mask_id, card.eos_ids, layout, block_length)


class RowTexts(NamedTuple):
    """What a row reads as; see Trajectory for the three."""

    output: list[int]
    text: str
    filled: list[str]


def row_texts(model: Model, tokens: ndarray, writable: ndarray, whole: bool) -> RowTexts:
    """Decode a row [L]; whole: its text begins with its first column, not with its output."""
    edges = np.flatnonzero(np.diff(writable.astype(np.int8), prepend=0, append=0))
    stands = _stands(model.card, tokens, writable)
    filled = [
        decode(model, tokens[start:stop][stands[start:stop]])
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]
    ids = output(model.card, tokens, writable)
    return RowTexts(ids, decode(model, tokens[stands] if whole else ids), filled)


def output(card: ModelCard, tokens: ndarray, writable: ndarray) -> list[int]:
    """Trim a row [L]: its ids from the first writable column up to and with the first EOS there."""
    stands = _stands(card, tokens, writable)
    begun = (stands & writable).cumsum() > 0
    return tokens[stands & begun].tolist()


def _stands(card: ModelCard, tokens: ndarray, writable: ndarray) -> ndarray:
    """Which columns [L] hold text: not a mask or pad that may be written, nor after the EOS."""
    empty = writable & np.isin(tokens, [i for i in (card.mask_id, card.pad_id) if i is not None])
    eos = writable & ~empty & np.isin(tokens, card.eos_ids)
    return ~empty & (eos.cumsum() - eos == 0)


def decode(model: Model, ids: Sequence[int] | ndarray) -> str:
    """Readable text of ids, special tokens left out; the ids themselves without a tokenizer."""
    if model.tokenizer is None:
        return " ".join(map(str, ids))
    return model.tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)


def pieces(model: Model, ids: Sequence[int]) -> dict[int, str]:
    """What each id alone reads as."""
    if model.tokenizer is None:
        return {int(i): str(i) for i in ids}
    return {int(i): model.tokenizer.decode([int(i)]) for i in ids}


def _with_start(model: Model, ids: list[int], masked: list[bool]) -> Row:
    """A template's row; a causal model gets its start token before a masked first column."""
    if not any(masked):
        raise ValueError(
            "a template needs a masked position: write [MASK] or [MASK]*8 where text is missing"
        )
    bos_id = model.card.bos_id
    if masked[0] and model.card.attention == "causal" and bos_id is not None:
        return Row((bos_id, *ids), (False, *masked))
    return Row(tuple(ids), tuple(masked))


def _text_ids(model: Model, text: str) -> list[int]:
    if not text:
        return []
    if model.tokenizer is None:
        raise ValueError(
            f"{model.card.name} has no tokenizer: give prompts as lists of token ids, "
            f"got {text[:60]!r}"
        )
    # split_special_tokens: what a user types is text, never a mask or an end of text.
    return model.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


def _render(model: Model, chat: Sequence[dict[str, str]], options: Options) -> str:
    for turn in chat:
        if set(turn) != {"role", "content"} or not all(isinstance(v, str) for v in turn.values()):
            raise ValueError(
                f"every turn of a prompt must be {{role, content}}, both text, got {brief(turn)}"
            )
    if getattr(model.tokenizer, "chat_template", None) is None:
        raise ValueError(f"{model.card.name} has no chat template: give the prompt as plain text")
    settings = {"add_generation_prompt": True, **options, "tokenize": False}
    return model.tokenizer.apply_chat_template(chat, **settings)


def _chat_ids(model: Model, chat: list[dict[str, str]], options: Options) -> list[int]:
    """The chat template's own markers become special tokens, those in the turns' text do not."""
    whole = _render(model, chat, options)
    markers = list(model.tokenizer.get_added_vocab())
    if not any(marker in turn["content"] for turn in chat for marker in markers):
        return model.tokenizer(whole, add_special_tokens=False).input_ids
    places = [{**turn, "content": f"\ue000{i}\ue001"} for i, turn in enumerate(chat)]
    ids = []
    for part in re.split("(\ue000\\d+\ue001)", _render(model, places, options)):
        if part.startswith("\ue000"):
            ids += _text_ids(model, chat[int(part[1:-1])]["content"])
        elif part:
            ids += model.tokenizer(part, add_special_tokens=False).input_ids
    return ids
