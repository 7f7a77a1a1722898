"""The comparison as one HTML file: complete, and nothing in it can end its text."""

import json
import re

from lab.ui import standalone
from lab.ui.film import whole_film
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.panel_value import panel_value
from lab.ui.settings_form import PanelSettings
from lab.ui.snippet import Code
from tests.kit.pressing import CAPITALS, press
from tests.kit.trajectories import make


def values_in(page: str) -> list[dict]:
    return json.loads(re.search(r'id="runs">(.*?)</script>', page, re.S)[1])


def test_file_holds_panels_and_loads_nothing(tmp_path):
    settings = [PanelSettings("mdlm"), None, PanelSettings("llada2"),
                PanelSettings("mdlm", None, {"steps": 0})]  # fmt: skip
    run, last = press(CAPITALS, settings)
    run.comparison.code = Code("import lab  # <b>", "python -m lab  # <i>")
    standalone.save(tmp_path / "x.html", run.comparison)
    page = (tmp_path / "x.html").read_text("utf-8")
    assert "<h1>mdlm, llada2 on capitals, seed 3</h1>" in page and "# &lt;b&gt;" in page
    assert "# &lt;i&gt;" in page
    values = [value for value in last.values if value["kind"] != "empty"]
    for value, whole in zip(values, values_in(page), strict=True):
        for name in ("kind", "run", "title", "message", "metrics", "verdict", "count"):
            assert value[name] == whole[name], name
        assert len(json.loads(whole["steps"])) == len(whole["details"]) == whole["count"]
    assert page.count('class="lab-panel"') == 3
    assert "default-src 'none'" in page
    page = page.replace("http://www.w3.org/2000/svg", "")  # a name of SVG's, never asked for
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?://", page)


def test_text_of_model_cannot_end_script(tmp_path):
    hostile = "</script><script>document.title='x'</script><!--<script>"
    run = make(["___", "a__"], pieces={0: hostile, 1: "$title ${1+1}"}, sampler=hostile)
    head = panel_value("done", "1", title=hostile, message=hostile)
    record = PanelRecord("1", whole_film(run), run, head)
    standalone.save(tmp_path / "x.html", PageRuns([record], Code(hostile, hostile)))
    page = (tmp_path / "x.html").read_text("utf-8")
    assert page.count("</script>") == 2 and "<!--" not in page
    assert values_in(page)[0]["pieces"]["0"] == hostile
