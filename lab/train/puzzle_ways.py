"""The samplers that puzzles are measured with, and their settings: order apart from temperature."""

from __future__ import annotations

from typing import Any, NamedTuple


class Way(NamedTuple):
    """One line of the table: a sampler with settings; `a_call` masked positions a call where it
    counts steps.

    a_call None: the settings say all.
    """

    told: str
    sampler: str
    settings: dict[str, Any]
    a_call: int | None = None


def ways(length: int, attention: str = "full") -> list[Way]:
    """Every order at temperature 1 and 0, then the samplers that fill several masked positions a
    call.

    A causal model has one order.
    """
    if attention == "causal":
        return [
            Way(
                f"left to right, temperature {warm}", "autoregressive", {"temperature": float(warm)}
            )
            for warm in (1, 0)
        ]
    whole, one = {"block_length": length}, {"block_length": 1, "steps": 1}
    orders = {
        "random order": ("first_hitting", {}),
        "left to right": ("llada", one),
        "largest margin": ("margin", {}),
        "largest probability": ("max_prob", {}),
        "least entropy": ("entropy_bound", {"gamma": 0.0}),
    }
    found = [
        Way(f"{told}, temperature {warm}", name, {**settings, "temperature": float(warm)})
        for told, (name, settings) in orders.items()
        for warm in (1, 0)
    ]
    found += [
        Way(f"MDLM, {steps} steps, temperature 1", "mdlm", {"steps": steps})
        for steps in (8, 32, 128)
    ]
    for many in (2, 4):
        found += [
            Way(f"random order, {many} a call, temperature 0", "llada",
                {**whole, "remasking": "random"}, many),
            Way(f"LLaDA, {many} a call, temperature 0", "llada", whole, many),
            Way(f"largest margin, {many} a call, temperature 0", "margin",
                {"temperature": 0.0}, many),
        ]  # fmt: skip
    return [
        *found,
        Way("threshold 0.9, temperature 0", "threshold", whole),
        Way("entropy bound 0.1, temperature 0", "entropy_bound", {"temperature": 0.0}),
    ]
