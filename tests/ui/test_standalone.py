"""The comparison as one HTML file: complete, and nothing in it can end its text or ask the
model."""

import json
import re
import threading

from lab.ui import standalone
from lab.ui.comparison import press
from lab.ui.panel import strip
from lab.ui.panel_run import RunInputs
from lab.ui.results import title
from lab.ui.settings_form import PanelSettings
from tests.kit.trajectories import make


def test_the_file_holds_the_panels_and_asks_nobody(tmp_path):
    asked = RunInputs("capitals", "The capital of", seed=3)
    chosen = [
        PanelSettings("mdlm"),
        None,
        PanelSettings("llada2"),
        PanelSettings("mdlm", None, {"steps": 0}),
    ]
    told = list(press(asked, chosen, threading.Event()))[-1]
    runs = [run for run in told.result.trajectories if run]
    standalone.save(tmp_path / "x.html", title(runs), told.values, "import lab  # <b>")
    page = (tmp_path / "x.html").read_text("utf-8")
    assert "<h1>mdlm, llada2 on capitals, seed 3</h1>" in page and "# &lt;b&gt;" in page
    held = re.search(r'id="runs">(.*?)</script>', page, re.S)[1]
    assert json.loads(held) == [value for value in told.values if value["kind"] != "empty"]
    assert page.count('class="lab-panel"') == 3
    assert "default-src 'none'" in page
    page = page.replace("http://www.w3.org/2000/svg", "")  # a name of SVG's, never asked for
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?://", page)


def test_what_a_model_wrote_cannot_end_the_script(tmp_path):
    hostile = "</script><script>document.title='x'</script><!--<script>"
    run = make(["___", "a__"], pieces={0: hostile, 1: "$title ${1+1}"})
    value = {"kind": "done", "run": "1", "title": hostile, "message": hostile, **strip(run, [])}
    standalone.save(tmp_path / "x.html", hostile, [value], hostile)
    page = (tmp_path / "x.html").read_text("utf-8")
    assert page.count("</script>") == 2 and "<!--" not in page
    assert json.loads(re.search(r'id="runs">(.*?)</script>', page, re.S)[1]) == [value]
