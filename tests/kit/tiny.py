"""Tiny random checkpoints of real classes with a real tokenizer, opened by the public `lab.load`.

Weights are wide enough that answers differ from position to position. `models()` builds all
once a process; `pairs()` names each sampler with the kinds that it can run.
"""

import inspect
import json
import tempfile
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    AutoConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MuseGlimmerAssistantModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

import lab
import samplers
from lab.models import Model, ModelCard, token_counts
from lab.models.transformers.draft_model import draft_model_config
from lab.models.transformers.quality_head import QualityHead, save_head

torch.set_num_threads(1)

CONTEXT = 256
TEXT = (
    "Once upon a time there was a little girl who lived near the sea.",
    "The capital of France is Paris. What is the capital of Peru?",
    "One day the dog saw a big red ball, and he ran to the garden.",
)
CHAT = (
    "{% for turn in messages %}<|bos|>{{ turn.role }}\n{{ turn.content }}<|eos|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|bos|>assistant\n{% endif %}"
)
DRAFTED = "causal-drafted"
JOINT = "causal-joint"
KINDS = {
    "causal-absorbing": ("causal", "absorbing", LlamaForCausalLM, LlamaConfig),
    "full-uniform": ("full", "uniform", Qwen3ForCausalLM, Qwen3Config),
    "full-absorbing": ("full", "absorbing", Qwen3ForCausalLM, Qwen3Config),
    "block-absorbing": ("block_causal", "absorbing", LlamaForCausalLM, LlamaConfig),
    "full-hybrid": ("full", "hybrid", LlamaForCausalLM, LlamaConfig),
    "block-hybrid": ("block_causal", "hybrid", Qwen3ForCausalLM, Qwen3Config),
    DRAFTED: ("causal", "absorbing", Qwen3ForCausalLM, Qwen3Config),
    JOINT: ("causal", "absorbing", Qwen3ForCausalLM, Qwen3Config),
}
HEADED, HEAD = "full-absorbing", "quality-head"  # a kind that has one, and its folder alone
DRAFT_LENGTH = 4  # the block of its draft model, and of a block mode
REWARDS = ("score", "right")
SEVERAL = 24  # how many ids of an `eos_rich` model end a text


def tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on three lines: about 290 tokens, four of them special."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|mask|>", "<|pad|>", "<|bos|>", "<|eos|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator(TEXT, trainer)
    words = PreTrainedTokenizerFast(
        tokenizer_object=backend, mask_token=special[0], pad_token=special[1],
        bos_token=special[2], eos_token=special[3], padding_side="left",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    words.chat_template = CHAT if chat else None
    return words


def write(folder: Path, kind: str, **facts: Any) -> Path:
    """Save one model as `save_pretrained` does, its lab.json and tokenizer beside it."""
    if kind == DRAFTED:
        return write_draft_model(folder, write(folder.parent / "target", "target"), **facts)
    if kind == HEAD:
        return write_head(folder, write(folder.parent / "target", HEADED), **facts)
    attention, corruption, network_class, config_class = KINDS.get(kind, KINDS[DRAFTED])
    words = tokenizer()
    config = config_class(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, initializer_range=0.3,
        max_position_embeddings=CONTEXT, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(len(kind))
        network = network_class(config)
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    known: dict[str, Any] = {"name": kind, "task": "tiny", "attention": attention,
                             "corruption": corruption}  # fmt: skip
    if kind == JOINT:
        known["joint_length"] = DRAFT_LENGTH
    if corruption == "hybrid":
        known["p_uniform"] = 0.1
        known["noise_ids"] = list(range(4, len(words)))
    (folder / "lab.json").write_text(json.dumps({**known, **facts}))
    counts = {str(token): 1 + token % 7 for token in range(len(words))}
    (folder / token_counts.FILE).write_text(json.dumps(counts))
    return folder


def write_draft_model(folder: Path, target: Path, **facts: Any) -> Path:
    """Save a random draft model for the target in the folder beside it."""
    config = draft_model_config(
        AutoConfig.from_pretrained(target), layers=2, block_size=DRAFT_LENGTH, mask_token_id=0
    )
    config.initializer_range = 0.3
    with torch.random.fork_rng():
        torch.manual_seed(7)
        MuseGlimmerAssistantModel(config).save_pretrained(folder)
    known = {"name": DRAFTED, "target": target.name}
    (folder / "lab.json").write_text(json.dumps({**known, **facts}))
    return folder


def write_head(folder: Path, target: Path, **facts: Any) -> Path:
    """Save a random quality head for the model in the folder beside it."""
    config = AutoConfig.from_pretrained(target)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        head = QualityHead(config.num_hidden_layers, config.hidden_size, 8)
        torch.nn.init.normal_(head.inner.weight)
    folder.mkdir(parents=True)
    save_head(folder, head)
    known = {"name": target.name, "target": target.name}
    (folder / "lab.json").write_text(json.dumps({**known, **facts}))
    return folder


@cache
def networks() -> dict[str, Model]:
    """The models by kind, each loaded from its folder by `lab.load`; that of masks and full
    attention has a quality head."""
    with tempfile.TemporaryDirectory() as place:
        folders = {kind: write(Path(place) / kind, kind) for kind in KINDS}
        folders[HEADED] = write_head(Path(place) / "head", folders[HEADED])
        models = {kind: lab.load(str(folder)) for kind, folder in folders.items()}
    for kind, model in models.items():
        models[kind] = changed(model, rewards=REWARDS)
        models[kind].reward = lambda texts, name: worth(texts)
    return models


def worth(texts: Tensor) -> Tensor:
    """A reward of texts [N, L]: the share of even ids."""
    return (texts % 2 == 0).double().mean(-1)


def judgement(tokens: Tensor) -> Tensor:
    """A quality of tokens [B, T]: another number in every column, by all of them."""
    column = torch.arange(tokens.shape[1], device=tokens.device)
    return ((5 * column + tokens.sum(-1, keepdim=True)) % 17 + 1) / 19


def changed(model: Model, **facts: Any) -> Model:
    """The same model under another card."""
    other = copy(model)
    other.card = replace(model.card, **facts)
    return other


def eos_rich(model: Model) -> Model:
    """The same model, in which one id of twelve ends a text: rows end early and often."""
    return changed(model, eos_ids=(*model.card.eos_ids, *range(40, 40 + SEVERAL)))


def pairs() -> list[tuple[str, str]]:
    """Every sampler with every kind of model that it can run, read from its needs alone."""
    cards = {kind: ModelCard(kind, 1, attention=KINDS[kind][0], corruption=KINDS[kind][1],
                             draft_length=DRAFT_LENGTH if kind == DRAFTED else None,
                             joint_length=DRAFT_LENGTH if kind == JOINT else None,
                             leave_one_out=KINDS[kind][0] == "full", frequencies=True,
                             quality_head=kind == HEADED,
                             rewards=REWARDS) for kind in KINDS}  # fmt: skip
    return [(name, kind) for name, sampler in samplers.SAMPLERS.items()
            for kind, known in cards.items() if not sampler.misfit(known)]  # fmt: skip


class Counting(Model):
    """A model that counts the calls it gets and answers as the model it stands for."""

    def __init__(self, model: Model):
        self.model, self.card, self.tokenizer, self.calls = model, model.card, model.tokenizer, 0

    def new_cache(self) -> Any:
        return self.model.new_cache()

    def forward(self, *arguments: Any) -> Tensor:
        self.calls += 1
        return self.model.forward(*arguments)

    def frequencies(self) -> Tensor:
        return self.model.frequencies()

    def reward(self, *arguments: Any) -> Tensor:
        return self.model.reward(*arguments)

    def draft(self, *arguments: Any) -> Tensor:
        return self.model.draft(*arguments)

    def leave_one_out(self, *arguments: Any) -> Tensor:
        self.calls += 1
        return self.model.leave_one_out(*arguments)

    def with_quality(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return self.model.with_quality(*arguments)

    def block_mode(self, *arguments: Any) -> Tensor:
        self.calls += 1
        return self.model.block_mode(*arguments)


class Fake(torch.nn.Module):
    """A module as the reviewed pipeline took them; `answer(ids)` gives its logits [B, T, V].

    It keeps every input it has seen: `ids`, `masks` [B, 1, T, T] and `positions`.
    """

    def __init__(self, answer: Callable[[Tensor], Tensor]):
        super().__init__()
        self.answer = answer
        self.ids: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.positions: list[Tensor] = []

    def forward(self, input_ids, attention_mask=None, position_ids=None):
        self.ids.append(input_ids)
        self.masks.append(attention_mask)
        self.positions.append(position_ids)
        return SimpleNamespace(logits=self.answer(input_ids))


def constant(token: int, vocabulary: int, by: float = 10.0) -> Callable[[Tensor], Tensor]:
    """An answer that prefers one token everywhere."""

    def answer(ids: Tensor) -> Tensor:
        logits = torch.zeros(*ids.shape, vocabulary)
        logits[..., token] = by
        return logits

    return answer


def card(vocabulary: int, **facts: Any) -> ModelCard:
    """The card of a fake: block-causal, absorbing, its last id the mask."""
    facts = {"mask_id": vocabulary - 1, "attention": "block_causal", "context": CONTEXT, **facts}
    return ModelCard("fake", vocabulary, **facts)


def wrapped(sampler: str, answer: Callable[..., Tensor], vocabulary: int, **facts: Any) -> Model:
    """`answer` as a model that this sampler can run: its card by need, a draft model where
    asked."""
    needs = samplers.get(sampler).needs
    facts.setdefault("attention", "full" if "full" in needs.attention else min(needs.attention))
    known = {"corruption": min(needs.corruption), **facts}
    blocks = {"draft_length": DRAFT_LENGTH} if needs.draft else {}
    blocks |= {"joint_length": DRAFT_LENGTH} if needs.joint else {}
    return lab.wrap(
        answer,
        card(vocabulary, **known, **blocks),
        draft_model=answer if needs.draft else None,
        leave_one_out=alone(answer, vocabulary - 1) if needs.leave_one_out else None,
        frequencies=range(1, vocabulary + 1) if needs.frequencies else None,
        reward=worth if needs.reward else None,
        quality=judgement if needs.quality else None,
        block_mode=answer if needs.joint else None,
    )


def alone(answer: Callable[..., Tensor], mask_id: int) -> Callable[[Tensor], Tensor]:
    """The same answer, to each column as if the mask stood there alone."""
    names = inspect.signature(answer).parameters.values()
    time = [None] * (sum(name.kind is not name.KEYWORD_ONLY for name in names) - 1)

    def without(ids: Tensor) -> Tensor:
        columns = torch.arange(ids.shape[1], device=ids.device)
        each = [answer(ids.masked_fill(columns == column, mask_id), *time)[:, column]
                for column in range(len(columns))]  # fmt: skip
        return torch.stack(each, 1)

    return without


def prompts(lengths: Sequence[int], first: int = 50) -> list[list[int]]:
    """Prompts of these lengths as ids, no two rows alike and none of them special."""
    return [[first + (7 * i + 3 * row) % 200 for i in range(n)] for row, n in enumerate(lengths)]
