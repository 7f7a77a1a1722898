"""The samplers and settings that solve rates are measured with: order apart from temperature."""

from __future__ import annotations

from typing import Any, NamedTuple


class SamplerSetting(NamedTuple):
    """One line of the table: a sampler with values for its parameters.

    per_call: masked positions to fill a call, where the sampler counts steps; None: `values` say
    all.
    """

    name: str
    sampler: str
    values: dict[str, Any]
    per_call: int | None = None


def settings(length: int, attention: str = "full") -> list[SamplerSetting]:
    """Every order at temperature 1 and 0, then samplers that fill several positions a call.

    A causal model has one order. length: columns of the task.
    """
    if attention == "causal":
        return [
            SamplerSetting(
                f"left to right, temperature {warm}", "autoregressive", {"temperature": float(warm)}
            )
            for warm in (1, 0)
        ]
    return [*_orders(), *_parallel(length)]


def _orders() -> list[SamplerSetting]:
    """One position a call."""
    orders: dict[str, tuple[str, dict[str, Any]]] = {
        "random order": ("first_hitting", {}),
        "left to right": ("llada", {"block_length": 1, "steps": 1}),
        "largest margin": ("margin", {}),
        "largest probability": ("max_prob", {}),
        "least entropy": ("entropy_bound", {"gamma": 0.0}),
    }
    return [
        SamplerSetting(
            f"{name}, temperature {warm}", sampler, {**values, "temperature": float(warm)}
        )
        for name, (sampler, values) in orders.items()
        for warm in (1, 0)
    ]


def _parallel(length: int) -> list[SamplerSetting]:
    """Several positions a call."""
    whole = {"block_length": length}
    result = [
        SamplerSetting(f"MDLM, {steps} steps, temperature 1", "mdlm", {"steps": steps})
        for steps in (8, 32, 128)
    ]
    for many in (2, 4):
        result += [
            SamplerSetting(f"random order, {many} a call, temperature 0", "llada",
                    {**whole, "remasking": "random"}, many),
            SamplerSetting(f"LLaDA, {many} a call, temperature 0", "llada", whole, many),
            SamplerSetting(f"largest margin, {many} a call, temperature 0", "margin",
                    {"temperature": 0.0}, many),
        ]  # fmt: skip
    return [
        *result,
        SamplerSetting("threshold 0.9, temperature 0", "threshold", whole),
        SamplerSetting("entropy bound 0.1, temperature 0", "entropy_bound", {"temperature": 0.0}),
    ]
