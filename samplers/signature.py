"""A sampler's parameters: what a keyword of its signature may be, read off it and checked."""

import inspect
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


def brief(value: Any) -> str:
    """A value as Python writes it, short enough for a message."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) < 60 else text[:57] + "..."


@dataclass(frozen=True)
class Range:
    """Limits of a number, both ends included, with the step of its slider and one line of help."""

    low: float
    high: float
    step: float
    help: str


@dataclass(frozen=True)
class Choice:
    """The names a parameter may take, with one line of help."""

    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Flag:
    """An on/off parameter with one line of help."""

    help: str


@dataclass(frozen=True)
class Param:
    """One parameter of a sampler, read from its signature. `optional`: None switches it off."""

    name: str
    kind: str  # int, float, choice or flag
    default: Any
    low: float | None
    high: float | None
    step: float | None
    choices: tuple[str, ...]
    help: str
    optional: bool = False

    def check(self, value: Any) -> Any:
        """The value in its own type, or a ValueError with the rule, the value and the way out."""
        if value is None and self.optional:
            return None
        if self.kind == "flag" and isinstance(value, bool):
            return value
        if self.kind == "choice" and isinstance(value, str) and value in self.choices:
            return value
        if self.kind in ("int", "float") and isinstance(value, Real):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            low, high = self.low or 0.0, self.high or 0.0
            fits = not isinstance(value, bool) and math.isfinite(number)
            if fits and low <= number <= high:
                if self.kind == "float":
                    return number
                if isinstance(value, Integral) or number.is_integer():
                    return int(value) if isinstance(value, Integral) else int(number)
        raise ValueError(
            f"{self.name} must be {self.rule()}, got {brief(value)}; "
            f"leave it out for the default {self.default!r}"
        )

    def rule(self) -> str:
        """What the parameter may be, in words."""
        if self.kind == "flag":
            return "True or False"
        if self.kind == "choice":
            text = "one of " + ", ".join(self.choices)
        else:
            kind = "a whole number" if self.kind == "int" else "a number"
            text = f"{kind} from {self.low:g} to {self.high:g}"
        return text + (" (or None: off)" if self.optional else "")


def signature_params(function: Callable[..., Any]) -> tuple[Param, ...]:
    """The keyword-only parameters of a function, in its order."""
    hints = typing.get_type_hints(function, include_extras=True)
    params = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        hint, optional = hints[name], False
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
            optional = True
        base, spec = typing.get_args(hint)[:2]
        kind = {Range: base.__name__, Choice: "choice", Flag: "flag"}[type(spec)]
        low = high = step = None
        if isinstance(spec, Range):
            low, high, step = spec.low, spec.high, spec.step
        choices = spec.choices if isinstance(spec, Choice) else ()
        params.append(
            Param(name, kind, parameter.default, low, high, step, choices, spec.help, optional)
        )
    return tuple(params)
