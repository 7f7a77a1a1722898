"""Where the page's scripts, templates and styles are."""

from pathlib import Path

ASSETS = Path(__file__).parents[2] / "assets"


def asset(*parts: str) -> str:
    """The text of a file under assets/."""
    return ASSETS.joinpath(*parts).read_text(encoding="utf-8")


def listening(*parts: str) -> str:
    """A script that hears what other parts of the page say (assets/listen.js)."""
    return asset("listen.js") + asset(*parts)
