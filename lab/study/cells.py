"""The cells of a study: one task, case, model, setting and seed each, computed whole or not."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import samplers
from lab.models import catalogue
from lab.models.card import read_card
from lab.models.device import CPU
from lab.models.load import load
from lab.models.model import ModelCard
from lab.record.trajectory import canonical
from lab.run.plan import Plan, plan
from lab.run.request import RunRequest
from lab.study.results import SCHEMA_VERSION
from lab.study.spec import Setting, Spec
from lab.tasks import TASKS
from lab.tasks.task import Instance, kind_of

PROMPTS = "prompts"  # the case of a task that has no instances: its examples in turn
MOST_WORK = 10**13  # model calls x columns x rows of a whole study
BATCH_CELLS = 1 << 22  # rows x columns x vocabulary of the logits that one batch may hold
BATCH_ROWS = 250
GPU = 32  # times as much: a GPU takes as long for few rows as for many


@dataclass(frozen=True)
class Cell:
    """One measurement: `instances` rows of a setting on the instances of a case.

    Row i of every cell of a case has instance i and noise row i, so that settings are paired. rows:
    the first so many of the instances alone; most_rows: of a batch. device: where a trained model
    runs, as lab.load has it; batches and devices change no row but by rounding.
    """

    task: str
    case: str
    model: str
    setting: Setting
    seed: int
    instances: int
    gen_length: int | None = None
    rows: int | None = None
    most_rows: int = BATCH_ROWS
    device: str | None = None

    @property
    def sampler(self) -> str:
        """The sampler's name."""
        return self.setting.sampler

    @cached_property
    def name(self) -> str:
        """The name of its file: readable, and unique to everything that decides the rows."""
        identity = {
            "schema": SCHEMA_VERSION, "task": self.task, "case": self.case, "model": self.model,
            "fingerprint": fingerprint(self.model), "sampler": self.sampler,
            "values": self.setting.bind(), "seed": self.seed, "instances": self.instances,
            "gen_length": self.gen_length,
        }  # fmt: skip
        digest = hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]
        case = "".join(c if c.isalnum() else "-" for c in self.case)
        return f"{self.task}.{case}.{self.sampler}.{digest}"

    def plans(self) -> Iterator[tuple[Plan, list[Instance]]]:
        """The cell in batches of rows that memory holds, each checked and laid out."""
        every = instances_of(self.task, self.case, self.instances)[: self.rows]
        size = self._batch(every[0])
        for start in range(0, len(every), size):
            batch = every[start : start + size]
            yield plan(self._request(batch, start)), batch

    @cached_property
    def work(self) -> int:
        """Model calls x columns x rows, at most; the first row stands for all."""
        every = instances_of(self.task, self.case, self.instances)
        return plan(self._request(every[:1], 0)).work * (self.rows or self.instances)

    def _batch(self, first: Instance) -> int:
        one = plan(self._request([first], 0))
        more = 1 if one.model.device == CPU else GPU
        logits = one.canvas.tokens.shape[1] * card(self.model).vocab_size
        return max(1, min(self.most_rows * more, BATCH_CELLS * more // logits))

    def _request(self, batch: list[Instance], first_row: int) -> RunRequest:
        texts: Any = [instance.text for instance in batch]
        template = kind_of(texts[0]) == "template"
        return RunRequest(
            self.sampler, load(self.model, device=self.device),
            **({"template": texts} if template else {"prompts": texts}),
            gen_length=None if template else self.gen_length,
            seed=self.seed, first_row=first_row, params=self.setting.bind(),
        )  # fmt: skip


def known_cases() -> dict[str, tuple[str, ...]]:
    """The cases of every task whose models are there."""
    return {name: tuple(TASKS[name].cases) or (PROMPTS,) for name in catalogue.task_names()}


@cache
def instances_of(task: str, case: str, count: int) -> list[Instance]:
    """The first `count` instances of a case; prompts in turn where the task has none."""
    ask = TASKS[task].instances
    if ask is not None:
        return ask(case, count, 0)
    texts = [text for text in TASKS[task].examples if kind_of(text) == "prompt"]
    return [Instance(texts[i % len(texts)]) for i in range(count)]


@cache
def card(model: str) -> ModelCard:
    """The card of a model that ships, or of the one in a folder."""
    return catalogue.card(model) if _ships(model) else read_card(Path(model))


def _ships(model: str) -> bool:
    return model in catalogue.models()


@cache
def fingerprint(model: str) -> str:
    """12 hexadecimal digits of a model's weights and card: other weights, other results."""
    digest = hashlib.sha256(repr(card(model)).encode())
    folder = catalogue.weights_folder(model) if _ships(model) else Path(model)
    if folder is None:
        digest.update(repr(TASKS[card(model).task].exact()).encode())  # type: ignore[misc]
    else:
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:12]


def cells_of(spec: Spec, device: str | None = None) -> list[Cell]:
    """Every cell of a study, longest first, to be run on a device (None: where models usually are).

    ValueError where a sampler fits none of its tasks, a named model is unknown, or the whole is too
    much work.
    """
    cells = [
        Cell(task, case, model, setting, seed, spec.instances, spec.gen_length, device=device)
        for task in spec.tasks
        for setting in spec.settings
        for model in _models(spec, task, setting.sampler)
        for case in spec.cases[task]
        for seed in spec.seeds
    ]
    for setting in spec.settings:
        if not any(cell.sampler == setting.sampler for cell in cells):
            raise ValueError(
                f"{setting.sampler} fits no model of {', '.join(spec.tasks)}; leave it out, or add "
                "a task that has one"
            )
    total = sum(cell.work for cell in cells)
    if total > MOST_WORK:
        raise ValueError(
            f"a study must be at most {MOST_WORK:.0e} (model calls x columns x rows), this one is "
            f"about {total:.1e} in {len(cells)} cells; take fewer instances, settings or cases"
        )
    return sorted(cells, key=lambda cell: (-cell.work, cell.name))


def _models(spec: Spec, task: str, sampler: str) -> list[str]:
    if not spec.models:
        usual = catalogue.served(task).get(sampler)
        return [usual] if usual else []
    for name in spec.models:
        if not _ships(name) and not (Path(name) / "lab.json").is_file():
            raise ValueError(
                f"no model {name!r}; there are {', '.join(catalogue.models())}, and folders that "
                "`python -m lab train` wrote"
            )
    fits = samplers.get(sampler).misfit
    return [name for name in spec.models if card(name).task == task and fits(card(name)) is None]
