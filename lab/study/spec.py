"""What a study measures: task x case x model x sampler x settings x seeds, checked before any call.

A spec is YAML or a dict. Lists span the grid: `steps: [4, 8]` is two settings, and a sampler may
have several blocks of settings (a list), each spanning a grid of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

import samplers
from samplers.registry import Sampler

MOST_SETTINGS = 2000  # of one study: beyond that a grid is a mistake more often than a plan
MOST_INSTANCES = 100_000
MOST_ENTRIES = 20_000  # of a YAML file, aliases written out
_PLAIN_TAGS = tuple(
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")
)
FIELDS = ("name", "task", "cases", "instances", "seeds", "samplers", "models", "gen_length")


@dataclass(frozen=True)
class Setting:
    """One sampler with one set of values: `values` as given, `preset` first where one is named."""

    sampler: str
    preset: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What differs from the sampler's defaults, to read: `llada2.1_speed, steps=8`."""
        parts = [self.preset] if self.preset else []
        parts += [f"{name}={_plain(value)}" for name, value in self.values.items()]
        return ", ".join(parts) or "defaults"

    def bind(self) -> dict[str, Any]:
        """Every parameter with its value. ValueError: rule, value, way out."""
        sampler = samplers.get(self.sampler)
        preset = {} if self.preset is None else sampler.presets[self.preset]
        return sampler.bind({**preset, **self.values})


@dataclass(frozen=True)
class Spec:
    """A checked study. cases: {task: its cases}; models: names to use, empty: each task's own."""

    name: str
    tasks: tuple[str, ...]
    cases: Mapping[str, tuple[str, ...]]
    instances: int
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    models: tuple[str, ...] = ()
    gen_length: int | None = None


def read_spec(
    source: str | Path | Mapping[str, Any], known_cases: Mapping[str, Sequence[str]]
) -> Spec:
    """Read a spec from a YAML file or a dict; known_cases: {task: its case names}.

    ValueError with the line (of a file), the rule, the value and the way out.
    """
    if isinstance(source, Mapping):
        return _Reader(dict(source), {}, "spec").spec(known_cases)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"the spec {path} cannot be read ({reason}); name a YAML file") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[tuple[str, ...], int] = {}
        content = _plain_content(root, (), lines)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is nested too deeply"
        raise ValueError(f"{path.name} is not YAML{place}: {problem}") from None
    return _Reader(content, lines, path.name).spec(known_cases)


def _plain_content(node: Any, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> Any:
    """A YAML node as dicts, lists and scalars, and at which line each entry stands."""
    if node is None:
        return {}
    if not node.tag.startswith(_PLAIN_TAGS) or len(lines) > MOST_ENTRIES:
        what = f"the tag {node.tag}" if len(lines) <= MOST_ENTRIES else "too many entries"
        raise yaml.constructor.ConstructorError(problem=what, problem_mark=node.start_mark)
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key, value in node.value:
            name = str(_scalar(key)) if isinstance(key, yaml.ScalarNode) else "?"
            if name in content:
                raise yaml.constructor.ConstructorError(
                    problem=f"{name!r} stands twice", problem_mark=key.start_mark
                )
            content[name] = _plain_content(value, (*path, name), lines)
            lines[(*path, name)] = key.start_mark.line + 1
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_plain_content(each, (*path, str(i)), lines) for i, each in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.ScalarNode) -> Any:
    return yaml.SafeLoader("").construct_object(node, deep=True)


class _Reader:
    """Checks a spec's content entry by entry; every refusal names the line where it stands."""

    def __init__(self, content: Any, lines: Mapping[tuple[str, ...], int], source: str):
        self.content, self.lines, self.source = content, lines, source

    def fail(self, message: str, *path: str) -> ValueError:
        """The error for an entry; the nearest enclosing line where it has none of its own."""
        line = next(
            (
                self.lines[path[:end]]
                for end in range(len(path), -1, -1)
                if path[:end] in self.lines
            ),
            None,
        )
        return ValueError(f"{self.source}{f', line {line}' if line else ''}: {message}")

    def spec(self, known_cases: Mapping[str, Sequence[str]]) -> Spec:
        """The whole spec."""
        if not isinstance(self.content, dict):
            raise self.fail("a spec must be a mapping of name, task, samplers, ...")
        for name in self.content:
            if name not in FIELDS:
                raise self.fail(f"no field {name!r}; there are {', '.join(FIELDS)}", name)
        for name in ("name", "task", "samplers"):
            if not self.content.get(name):
                raise self.fail(f"a spec needs {name!r}")
        tasks = tuple(map(str, self._listed("task")))
        for task in tasks:
            if task not in known_cases:
                raise self.fail(f"no task {task!r}; there are {', '.join(known_cases)}", "task")
        seeds = tuple(
            self._whole("seeds", seed, 0, 2**63 - 1) for seed in self._listed("seeds", [0])
        )
        settings = tuple(self._settings())
        if not seeds or not settings:
            raise self.fail("the grid is empty; name at least one sampler and one seed", "samplers")
        if len(settings) > MOST_SETTINGS:
            raise self.fail(
                f"a study has at most {MOST_SETTINGS} settings, got {len(settings)}; split it",
                "samplers",
            )
        length = self.content.get("gen_length")
        return Spec(
            name=str(self.content["name"]),
            tasks=tasks,
            cases={task: self._cases(task, known_cases[task]) for task in tasks},
            instances=self._whole(
                "instances", self.content.get("instances", 100), 1, MOST_INSTANCES
            ),
            seeds=seeds,
            settings=settings,
            models=tuple(map(str, self._listed("models", []))),
            gen_length=None if length is None else self._whole("gen_length", length, 1, 4096),
        )

    def _listed(self, name: str, default: list[Any] | None = None) -> list[Any]:
        value = self.content.get(name, default)
        return value if isinstance(value, list) else [value]

    def _whole(self, name: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(
                f"{name} must be a whole number from {low} to {high}, got {value!r}", name
            )
        return value

    def _cases(self, task: str, known: Sequence[str]) -> tuple[str, ...]:
        wanted = self.content.get("cases")
        if wanted is None:
            return tuple(known)
        if isinstance(wanted, dict):
            wanted = wanted.get(task, list(known))
        names = tuple(str(case) for case in (wanted if isinstance(wanted, list) else [wanted]))
        for name in names:
            if name not in known:
                raise self.fail(f"{task} has no case {name!r}; it has {', '.join(known)}", "cases")
        return names

    def _settings(self) -> Iterator[Setting]:
        blocks = self.content["samplers"]
        if isinstance(blocks, list):
            blocks = {str(name): {} for name in blocks}
        if not isinstance(blocks, dict):
            raise self.fail("samplers must be a mapping of names to settings", "samplers")
        for name, block in blocks.items():
            try:
                sampler = samplers.get(name)
            except ValueError as error:
                raise self.fail(str(error), "samplers", name) from None
            for number, each in enumerate(block if isinstance(block, list) else [block or {}]):
                where = (name, str(number)) if isinstance(block, list) else (name,)
                yield from self._grid(sampler, each, where)

    def _grid(self, sampler: Sampler, block: Any, where: tuple[str, ...]) -> Iterator[Setting]:
        if not isinstance(block, dict):
            raise self.fail(f"settings of {sampler.name} must be a mapping", "samplers", *where)
        axes = {
            name: value if isinstance(value, list) else [value] for name, value in block.items()
        }
        for name, options in axes.items():
            if not options:
                raise self.fail(f"{name} has no values", "samplers", *where, name)
        for combination in product(*axes.values()):
            values = dict(zip(axes, combination, strict=True))
            preset = values.pop("preset", None)
            if preset is not None and preset not in sampler.presets:
                known = ", ".join(sampler.presets) or "none"
                raise self.fail(
                    f"{sampler.name} has no preset {preset!r}; it has {known}",
                    "samplers", *where, "preset",
                )  # fmt: skip
            setting = Setting(sampler.name, preset, values)
            try:
                setting.bind()
            except ValueError as error:
                named = [
                    name
                    for name in values
                    if f"{name} must" in str(error) or repr(name) in str(error)
                ]
                raise self.fail(str(error), "samplers", *where, *named[:1]) from None
            yield setting


def _plain(value: Any) -> str:
    return "off" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
