"""What the figures show, tested on their infos; what they look like, on the figure's own fields."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lab.record import figure_data
from lab.record.figure_data import (
    KINDS,
    confidence_info,
    order_info,
    progress_info,
    uncertainty_info,
)
from lab.record.figures import plot_confidence, plot_order, plot_progress, plot_uncertainty
from tests.kit.trajectories import make


def busy():
    """Two blocks of two after a prompt of one: an edit, a remask, and a token after the EOS."""
    return make(
        ["a_____", "ab_c__", "ad_c__", "ad____", "adac__", "adac$b"],
        prompt=1,
        start=[1, 1, 1, 1, 4],
        stop=[4, 4, 4, 4, 6],
        block=[0, 0, 0, 0, 1],
    )


def test_heatmap_is_blank_where_no_token_stands_and_after_eos():
    (panel,) = confidence_info([busy()]).panels
    blanks = ["".join("x."[int(blank)] for blank in line) for line in np.isnan(panel.confidence)]
    assert blanks == ["x.x..", "x.x..", "x....", "xxx..", "xxxx."]
    assert panel.confidence.dtype == np.float32
    assert panel.confidence[0, 0] == np.float32(0.101) and panel.confidence[4, 3] == np.float32(
        0.504
    )
    assert panel.position.tolist() == [0, 1, 2, 3, 4] and panel.step.tolist() == [1, 2, 3, 4, 5]
    assert panel.borders == [3]


def test_heatmap_tells_token_and_state_of_each_cell():
    (panel,) = confidence_info([busy()]).panels
    assert panel.text[0] == ["␣b · committed", "", "␣c · committed", "", ""]
    assert panel.text[1][0] == "␣d · edited" and panel.text[4][3] == "&lt;end&gt; · committed"


def test_noise_has_confidence_and_says_that_it_is_noise():
    run = make(["abc", "dbc"], ["d--"], corruption="uniform", mask_id=None)
    (panel,) = confidence_info([run]).panels
    assert panel.text == [["␣d · committed", "␣b · noise", "␣c · noise"]]
    assert not np.isnan(panel.confidence).any()


def test_large_heatmaps_go_without_text(monkeypatch):
    monkeypatch.setattr(figure_data, "HOVER_CELLS", 24)
    (panel,) = confidence_info([busy()]).panels
    assert panel.text is None and panel.token is None
    trace = plot_confidence(confidence_info([busy()])).data[0]
    assert trace.text is None and "%{customdata}" not in trace.hovertemplate
    assert trace.texttemplate is None


def test_order_names_step_and_way_of_each_final_token():
    (panel,) = order_info([busy()]).panels
    assert panel.position.tolist() == [0, 1, 2, 3]
    assert panel.step.tolist() == [2, 4, 4, 5]
    assert panel.kind == ["edited", "committed", "remasked before", "committed"]
    assert panel.confidence.tolist() == np.float32([0.201, 0.402, 0.403, 0.504]).tolist()
    assert panel.text == ["␣d", "␣a", "␣c", "&lt;end&gt;"]
    assert (panel.length, panel.steps, panel.borders) == (5, 5, [3])


def test_order_of_prior_that_no_step_touched_is_step_0():
    run = make(["ab", "cb"], ["c-"], corruption="uniform", mask_id=None)
    (panel,) = order_info([run]).panels
    assert panel.step.tolist() == [1, 0] and panel.kind == ["committed", "noise"]
    assert np.isnan(panel.confidence).tolist() == [False, True]


def test_borders_are_block_starts_and_end_of_last_block():
    assert confidence_info([make(["____", "abcd"])]).panels[0].borders == []
    early = make(["______", "ab____"], start=[0], stop=[2])
    assert confidence_info([early]).panels[0].borders == [2]


@pytest.mark.parametrize(
    "text, label",
    [
        ("<img src=x onerror=alert(1)>", "&lt;img␣src=x␣onerror=alert"),
        ("\u202eabc\ud800\0\n", r"\u202eabc\ud800\x00⏎"),
        ("", "(empty)"),
        ("\U0001f9ea'", "\U0001f9ea&#x27;"),
        ("\u200b", r"\u200b"),
    ],
    ids=ascii,
)
def test_hostile_tokens_are_shown_and_do_nothing(text, label):
    run = make(["_", "a"], pieces={0: text}, model=text)
    assert order_info([run]).panels[0].text == [label]
    figure = plot_order(order_info([run]))
    figure.to_json().encode("utf-8")
    assert "<img" not in figure.to_json()


def test_panels_share_one_fixed_scale_and_steps_run_down():
    runs = [busy(), make(["__", "ab"], sampler="llada2", row=2)]
    for figure in (plot_confidence(confidence_info(runs)), plot_order(order_info(runs))):
        layout = figure.layout
        assert (layout.coloraxis.cmin, layout.coloraxis.cmax) == (0, 1)
        assert layout.title.text is None and len(layout.template.to_plotly_json()) == 1
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color == "#888"
        for axis in (layout.yaxis, layout.yaxis2):
            assert axis.range[0] > axis.range[1]
        assert [title.text for title in layout.annotations] == [
            "mdlm on capitals/table",
            "llada2 on capitals/table · row 2",
        ]
        assert [(shape.x0, shape.xref) for shape in layout.shapes] == [(2.5, "x")]


def test_heatmap_draws_info_as_it_is():
    info = confidence_info([busy()])
    (trace,) = plot_confidence(info).data
    assert trace.z is info.panels[0].confidence or np.array_equal(
        trace.z, info.panels[0].confidence, equal_nan=True
    )
    assert (
        trace.z.dtype == np.float32
        and trace.coloraxis == "coloraxis"
        and trace.hoverongaps is False
    )
    assert trace.x.tolist() == [0, 1, 2, 3, 4] and trace.y.tolist() == [1, 2, 3, 4, 5]
    assert list(trace.text[0]) == ["␣b", "", "␣c", "", ""] and trace.texttemplate == "%{text}"
    assert list(trace.customdata[0]) == ["␣b · committed", "", "␣c · committed", "", ""]


def test_order_marks_every_kind_by_its_shape_and_names_it_once():
    runs = [busy(), busy(), make(["ab", "cb"], ["c-"], corruption="uniform", mask_id=None)]
    figure = plot_order(order_info(runs))
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == sorted(KINDS)
    shape = {trace.name: trace.marker.symbol for trace in figure.data}
    assert len(set(shape.values())) == len(KINDS)
    edited = next(trace for trace in figure.data if trace.name == "edited")
    assert (edited.x.tolist(), edited.y.tolist(), edited.text) == ([0], [2], ("␣d",))


@pytest.mark.parametrize("columns, places", [(1, (3, 1)), (2, (2, 2)), (4, (1, 3))])
def test_panels_lie_in_as_many_columns_as_asked(columns, places):
    figure = plot_confidence(confidence_info([busy()] * 3), columns)
    lefts = {round(figure.layout[f"xaxis{n}"].domain[0], 3) for n in ("", 2, 3)}
    tops = {round(figure.layout[f"yaxis{n}"].domain[1], 3) for n in ("", 2, 3)}
    assert (len(tops), len(lefts)) == places
    assert [trace.yaxis for trace in figure.data] == ["y", "y2", "y3"]
    with pytest.raises(ValueError, match="columns must be 1 or more, got 0"):
        plot_order(order_info([]), 0)


def test_nothing_to_show_is_empty_figure():
    for figure in (plot_confidence(confidence_info([])), plot_order(order_info([]))):
        assert not figure.data and not figure.layout.xaxis.visible
    for run in (
        make(["a__"], prompt=1),
        make(["ab"], prompt=2),
        replace(busy(), writable=[False] * 6),
    ):
        json.loads(plot_confidence(confidence_info([run])).to_json())
        json.loads(plot_order(order_info([run])).to_json())
    assert order_info([make(["a__"], prompt=1)]).panels[0].kind == []


def test_changes_of_most_likely_token_are_counted():
    predictions = ["-bbbbb", "-bc-bb", "-bcdbb", "-bbdab", "----ab"]
    run = make(["a_____", "ab____", "abc___", "abcd__", "abcda_", "abcdab"], predictions, prompt=1)
    info = uncertainty_info(run)
    assert info.changes.tolist() == [0, 2, 1, 1, 0]
    best = np.stack([run.predicted, *[np.full_like(run.predicted, 3)] * 4], -1)
    assert uncertainty_info(replace(run, top_ids=best)).changes.tolist() == [0, 2, 1, 1, 0]
    second = np.stack([np.full_like(run.predicted, 3), run.predicted], -1)
    assert uncertainty_info(replace(run, top_ids=second)).changes.tolist() == [0] * 5


def test_entropy_is_drawn_by_step_with_changes_above():
    run = busy()
    info = uncertainty_info(run)
    assert info.entropy.tolist() == run.entropy[:, 1:].tolist() and info.borders == [3]
    figure = plot_uncertainty(info)
    bars, heat = figure.data
    assert bars.y.tolist() == info.changes.tolist() and heat.z.tolist() == info.entropy.tolist()
    layout = figure.layout
    assert layout.coloraxis.cmin == 0
    assert layout.coloraxis.cmax == pytest.approx(np.nanmax(info.entropy))
    assert layout.yaxis2.range[0] > layout.yaxis2.range[1] and layout.yaxis.range[0] == 0
    assert layout.yaxis.domain[0] > layout.yaxis2.domain[1]
    figure.to_json()


def test_progress_is_what_is_open_after_each_call():
    slow = make(["_____", "a____", "ab___", "ab__c", "ab_dc", "abcdc"])
    fast = make(["_____", "abc__", "a_cde", "abcde"], calls=np.array([2, 4, 6]))
    one, other = progress_info([slow, fast])
    assert one.left.tolist() == [1, 0.8, 0.6, 0.4, 0.2, 0] and one.calls.tolist() == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]
    assert other.left.tolist() == [1, 0.4, 0.2, 0] and other.calls.tolist() == [0, 2, 4, 6]
    figure = plot_progress([one, other])
    assert [trace.name for trace in figure.data] == [
        f"{n} · mdlm on capitals/table" for n in (1, 2)
    ]
    assert figure.data[0].line.dash != figure.data[1].line.dash
    assert tuple(figure.layout.xaxis.range) == (0, 6)
    behind = make(["a____", "ab$__"], prompt=1)
    assert progress_info([behind])[0].left.tolist() == [1, 0]
