"""docs/samplers.md: a section a sampler, and every test that it cites is there."""

import ast
import re

import pytest

from samplers import SAMPLERS
from samplers.schedules import SCHEDULES
from tests.kit.project import ROOT

PAGE = (ROOT / "docs/samplers.md").read_text("utf-8")
SECTIONS = {part.split("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def section(name):
    """The text about a sampler, on one line."""
    (text,) = (text for title, text in SECTIONS.items() if f"`{name}`" in title)
    return " ".join(text.split())


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_section_with_its_guarantee(name):
    guarantee = re.search(r"Guarantee: (.+?) Held by `", section(name))
    assert guarantee and SAMPLERS[name].guarantee in guarantee[1]


def test_every_test_that_page_cites_is_there():
    tests = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        tests |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    cited = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(cited) > 20 and cited <= tests, sorted(cited - tests)
    files = re.findall(r"`((?:tests|samplers)/\S+\.py)`", PAGE)
    assert files and all((ROOT / path).exists() for path in files)


def test_every_curve_and_official_preset_is_named():
    assert all(f"`{name}`" in SECTIONS["Schedules"] for name in SCHEDULES)
    official = {name for name, one in SAMPLERS.items() if "official" in one.presets}
    assert all("preset `official`" in section(name).lower() for name in official)
