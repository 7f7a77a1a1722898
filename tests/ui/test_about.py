"""What the page says about the samplers is the registry's and the atlas's."""

import re

import pandas as pd

from lab.study.points import POINT
from lab.ui import about, picture
from samplers import SAMPLERS


def section(name: str) -> str:
    (text,) = re.findall(rf"### [^\n]*\(`{name}`\)\n(.*?)(?=\n### |\Z)", about.about(), re.S)
    return text


def test_every_sampler_has_idea_guarantee_and_paper():
    assert about.about().count("### ") == len(SAMPLERS)
    for name, sampler in SAMPLERS.items():
        text = section(name)
        assert sampler.help.split()[0] in text and sampler.paper in text
        assert about.GUARANTEES[sampler.guarantee][1:] in text
        assert all(f"`{preset}`" in text for preset in sampler.presets)


def test_line_of_atlas_is_best_within_budget():
    points = picture.atlas()
    for name in SAMPLERS:
        text = section(name)
        own = points[(points["sampler"] == name) & points["score"].notna()]
        own = own[(own["task"] == about.TASK) & (own["case"] == about.CASE)]
        assert ("*Atlas:" in text) == bool(len(own))
        if len(own):
            share, calls = re.search(r"Atlas: ([\d.]+) % .* at ([\d.]+) calls", text).groups()
            cheap = own[own["calls"] <= about.CALLS]
            rates = cheap["score"] if len(cheap) else own.nsmallest(1, "calls")["score"]
            assert float(share) == round(100 * rates.max(), 1)
            assert float(calls) <= about.CALLS or not len(cheap)
    assert about.about().count("*Atlas:") > 10


def test_best_of_two_settings_is_told(monkeypatch):
    line = dict.fromkeys(POINT.names) | {"task": "sudoku4", "case": "4", "sampler": "mdlm"}
    lines = [line | {"calls": calls, "score": score, "score_low": 0.1, "score_high": 0.9,
                     "rows": 40, "setting": f"steps {calls:.0f}"}
             for calls, score in ((2.0, 0.25), (4.0, 0.5), (40.0, 0.75))]  # fmt: skip
    monkeypatch.setattr(picture, "atlas", lambda: pd.DataFrame(lines))
    assert "50.0 % [10.0, 90.0] of" in about._measured("mdlm")
    assert "setting steps 4" in about._measured("mdlm") and about._measured("margin") == ""
    monkeypatch.setattr(about, "CALLS", 1)
    assert "25.0 %" in about._measured("mdlm")
