"""The colour and mark of each sampler: the same in every figure, whatever else is drawn."""

from samplers import SAMPLERS

# Sixteen colours that stay apart; neighbours have other marks too, for who sees fewer of them.
COLOURS = (
    "#4477AA", "#EE6677", "#228833", "#AA3377", "#33AADD", "#B58900", "#332288", "#E8601C",
    "#8C564B", "#777777", "#00A087", "#8A9A2A", "#D55ECC", "#7A5FD0", "#C2264B", "#55A630",
)  # fmt: skip
MARKS = ("circle", "diamond", "square")


def style(sampler: str) -> tuple[str, str]:
    """Colour and mark of a sampler; one that is not the lab's comes after them."""
    place = list(SAMPLERS).index(sampler) if sampler in SAMPLERS else len(SAMPLERS)
    return COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
