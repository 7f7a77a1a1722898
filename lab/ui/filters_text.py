"""What stands between a model's probabilities and a draw, in words for who looks at a token."""

from typing import Any, NamedTuple

from samplers import SAMPLERS

# In the order in which they act; cooling is how far a temperature falls.
NAMES = ("temperature", "cooling", "top_k", "top_p")


class FiltersText(NamedTuple):
    """changes: whether what is drawn from differs from what the model says; text: why, or why
    not; empty where it is not known."""

    changes: bool
    text: str

    def line(self, after: list[float] | None) -> str:
        """The line beside a position's alternatives; after: what they were drawn from there."""
        if not self.changes:
            return self.text
        return f"{'before' if after is None else 'before and after'} {self.text}"


def filters_text(sampler: str, params: Any) -> FiltersText:
    """Of a run's sampler and parameters, which may come from a file."""
    known = SAMPLERS.get(sampler)
    if known is None or not isinstance(params, dict):
        return FiltersText(False, "")
    try:
        values = known.bind(params)
    except ValueError:
        return FiltersText(False, "")
    filters = known.filters(values)
    if filters is None:
        return FiltersText(False, "before the sampler's own rules")
    if filters.greedy:
        return FiltersText(False, "temperature 0: the most likely token, nothing is drawn")
    if filters.plain:
        return FiltersText(False, "temperature 1 and no filter: nothing changes them")
    parts = [f"{name} {values[name]:g}" for name in NAMES if values.get(name) is not None]
    return FiltersText(True, ", ".join(parts))
