"""What a visitor does: runs four panels, stops them, scrubs, looks, downloads, goes by keyboard."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import lab
from lab.record import files


@pytest.fixture
def capitals(visit):
    """The app with the capitals task chosen."""

    def open_capitals(**options):
        site = visit(**options)
        site.task("capitals")
        return site

    return open_capitals


def test_four_panels_run_side_by_side(capitals):
    site = capitals()
    site.run()
    tops = []
    for number in (1, 2, 3, 4):
        panel = site.panel(number)
        expect(panel).to_have_attribute("data-kind", "done")
        site.at_the_end(number)
        expect(panel.locator("[role=option]")).to_have_count(12)
        expect(panel.locator(".mask")).to_have_count(0)
        expect(panel.locator(".verdict")).to_be_visible()
        tops.append(panel.bounding_box()["y"])
    assert len(set(tops)) == 1


def test_tokens_arrive_while_run_goes_on(capitals):
    site = capitals()
    for number in (1, 2, 3, 4):
        site.sampler(number, "hybrid" if number == 1 else "")
    site.open_settings(1)
    site.page.get_by_label("steps of panel 1", exact=True).fill("5000")
    expect(site.panel(1).locator(".forecast")).to_contain_text("5000 calls", timeout=30_000)
    site.page.get_by_role("button", name="Run", exact=True).click()
    # Run waits where models are still being read.
    expect(site.panel(1)).to_have_attribute("data-kind", "running", timeout=30_000)
    scrub = site.panel(1).locator(".scrub")
    site.page.wait_for_function("scrub => +scrub.value > 5", arg=scrub.element_handle())
    expect(site.panel(1)).to_have_attribute("data-kind", "running")
    site.page.get_by_role("button", name="Stop", exact=True).click()
    expect(site.page.get_by_role("button", name="Run", exact=True)).to_be_enabled(timeout=30_000)


def test_stop_ends_all_panels_and_keeps_their_files(capitals):
    site = capitals()
    for number in (1, 2, 3, 4):
        site.sampler(number, "hybrid")
    site.page.get_by_label("one steps for all panels").check()
    site.page.get_by_label("steps", exact=True).fill("4000")
    expect(site.panel(4).locator(".forecast")).to_contain_text("4000 calls", timeout=30_000)
    site.page.get_by_role("button", name="Run", exact=True).click()
    for number in (1, 2, 3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "running", timeout=30_000)
    site.page.get_by_role("button", name="Stop", exact=True).click()
    for number in (1, 2, 3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "stopped", timeout=20_000)
    expect(site.page.get_by_role("button", name="Run", exact=True)).to_be_enabled(timeout=30_000)
    before = [site.panel(n).locator(".scrub").get_attribute("max") for n in (1, 2, 3, 4)]
    site.page.wait_for_timeout(500)
    after = [site.panel(n).locator(".scrub").get_attribute("max") for n in (1, 2, 3, 4)]
    assert before == after and 0 < int(after[0]) < 4000
    expect(site.exports).to_be_enabled()


def test_scrubbing_one_panel_and_all_of_them(capitals):
    site = capitals()
    site.run()
    first, second = site.panel(1), site.panel(2)
    site.at_the_end(1)
    first.get_by_label("Step").fill("0")
    expect(first.locator(".mask")).to_have_count(9)
    expect(second.locator(".mask")).to_have_count(0)
    everywhere = site.page.get_by_label("Scrub all panels")
    everywhere.fill("0")
    for number in (1, 2, 3, 4):
        expect(site.panel(number).locator(".mask")).to_have_count(9)
    everywhere.fill("500")
    expect(second.locator(".where")).to_contain_text("calls")
    assert 0 < second.locator(".mask").count() < 9
    first.get_by_label("Play this panel").click()
    expect(first.locator(".mask")).to_have_count(0, timeout=20_000)


def test_click_on_token_asks_for_no_row(capitals):
    site, requests = capitals(), []
    site.run()
    site.page.on("request", lambda request: requests.append(request.post_data or ""))
    site.panel(1).locator("[role=option]").nth(3).click()
    expect(site.panel(1).locator(".inspect .top li").first).to_be_visible()
    assert any('"alternatives"' in data for data in requests)
    assert not any('"row"' in data for data in requests)


def test_downloaded_files_are_run(capitals, tmp_path: Path):
    site = capitals()
    site.text.fill("The capital of")
    site.page.locator("#seed input").fill("11")
    site.page.locator("#length input[type=number]").fill("8")
    site.page.get_by_label("one steps for all panels").check()
    site.page.get_by_label("steps", exact=True).fill("6")
    site.open_settings(1)
    site.page.get_by_label("threshold of panel 1", exact=True).fill("0.5")
    site.run()
    for suffix in ("csv", "json"):
        with site.page.expect_download() as waiting:
            site.exports.select_option(suffix)
        assert waiting.value.suggested_filename == f"trajectories-capitals-seed11.{suffix}"
        waiting.value.save_as(tmp_path / f"run.{suffix}")
        runs = files.read(tmp_path / f"run.{suffix}")
        own = [{"threshold": 0.5}, {}, {}, {}]
        for run, extra in zip(runs, own, strict=True):
            alone = lab.run(run.sampler, "capitals", "The capital of", gen_length=8, seed=11,
                            steps=6, **extra)  # fmt: skip
            assert run.same_tokens(alone[0])


@pytest.mark.parametrize("tab", ["Confidence", "Decoding order", "Uncertainty"])
def test_figures_are_drawn(capitals, tab: str):
    site = capitals()
    site.run()
    site.page.get_by_role("tab", name=tab).click()
    plots = site.page.locator(".js-plotly-plot:visible")
    count = 5 if tab == "Decoding order" else 4  # what was open after each call, too
    expect(plots).to_have_count(count, timeout=30_000)
    mark = ".scatterlayer .point" if tab == "Decoding order" else ".heatmaplayer image"
    for index in range(4):
        expect(plots.nth(index).locator(mark).first).to_be_visible(timeout=20_000)


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<svg")])
def test_figures_are_saved_as_pictures(capitals, suffix, begins, tmp_path):
    site = capitals()
    for number in (2, 3, 4):
        site.sampler(number, "")
    site.run()
    site.exports.select_option(suffix)
    expect(site.page.locator("#status")).to_contain_text("No figure is in sight")
    site.page.get_by_role("tab", name="Confidence").click()
    expect(site.page.locator(".js-plotly-plot:visible .heatmaplayer image")).to_be_visible(
        timeout=30_000
    )
    with site.page.expect_download() as waiting:
        site.exports.select_option(suffix)
    assert waiting.value.suggested_filename == f"llada2-seed0.{suffix}"
    waiting.value.save_as(tmp_path / "figure")
    assert (tmp_path / "figure").read_bytes().startswith(begins)
    expect(site.page.locator("#status")).to_contain_text("Exported 1 figure as")


CELL = """plot => {
  const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
  const { xaxis, yaxis } = plot._fullLayout;
  return { x: box.x + xaxis.d2p(2), y: box.y + yaxis.d2p(3) };
}"""


@pytest.mark.parametrize("tab", ["Confidence", "Decoding order"])
def test_click_on_figure_brings_panel_to_step(capitals, tab):
    site = capitals(reduced_motion="reduce")
    for number in (3, 4):
        site.sampler(number, "")
    site.sampler(2, "autoregressive")
    site.run()
    site.page.get_by_role("tab", name=tab).click()
    plot = site.page.locator(".js-plotly-plot:visible").nth(1)
    expect(plot.locator(".nsewdrag")).to_be_visible(timeout=30_000)
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(CELL)
    site.page.mouse.move(place["x"], place["y"] + 2)
    site.page.mouse.move(place["x"], place["y"])
    expect(plot.locator(".hoverlayer text").first).to_be_visible()
    site.page.mouse.click(place["x"], place["y"])
    expect(site.page.get_by_role("tab", name="Tokens")).to_have_attribute("aria-selected", "true")
    expect(site.panel(2).locator(".where")).to_contain_text("3/")
    expect(site.panel(2).locator(".inspect .facts").first).to_contain_text("position 5")


def test_tables_and_code_are_filled(capitals):
    site = capitals()
    site.run()
    site.page.get_by_role("tab", name="Metrics").click()
    expect(site.page.locator("#metrics")).to_contain_text("Tokens per call")
    site.page.get_by_role("tab", name="Trajectory").click()
    expect(site.page.locator("#trajectory")).to_contain_text("committed")
    site.page.get_by_role("tab", name="Code").click()
    expect(site.page.locator("#python")).to_contain_text("lab.run('llada2', 'capitals'")
    expect(site.page.locator("#shell")).to_contain_text("--sampler=mdlm --task=capitals")


def test_error_stays_in_its_panel(capitals):
    site = capitals()
    site.open_settings(2)
    site.page.get_by_label("steps of panel 2", exact=True).fill("0")
    site.run()
    expect(site.panel(2)).to_have_attribute("data-kind", "error")
    expect(site.panel(2).locator(".message")).to_contain_text("steps must be a whole number")
    for number in (1, 3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "done")


def test_settings_mark_what_changed_and_say_what_is_ignored(capitals):
    site = capitals()
    rows = site.page.locator("#strip .shared-row")
    threshold = rows.filter(has_text="threshold")
    expect(threshold).to_contain_text("not used by mdlm")
    site.open_settings(1)
    steps = site.page.get_by_label("steps of panel 1", exact=True)
    own = steps.input_value()
    site.page.get_by_label("one steps for all panels").check()
    site.page.get_by_label("steps", exact=True).fill("5")
    expect(steps).to_have_value("5")
    steps.fill("9")
    summary = site.page.locator("#settings summary").first
    expect(summary).to_contain_text("1 changed")
    site.page.get_by_label("steps of panel 1: back", exact=False).first.click()
    expect(steps).to_have_value("5")
    site.page.get_by_label("one steps for all panels").uncheck()
    expect(steps).to_have_value(own)
    for number in (1, 2, 3, 4):
        site.sampler(number, "mdlm")
    expect(threshold).to_contain_text("no selected sampler uses threshold")
    expect(site.page.get_by_label("one threshold for all panels")).to_be_disabled()


def test_preset_and_optional_setting_reach_run(capitals):
    site = capitals()
    site.page.get_by_label("Preset of panel 1").select_option("llada2.1_quality", force=True)
    site.open_settings(1)
    expect(site.page.get_by_label("threshold of panel 1", exact=True)).to_have_value("0.7")
    site.page.get_by_label("top_k of panel 1 on").check()
    site.page.get_by_label("top_k of panel 1", exact=True).fill("3")
    site.run()
    site.page.get_by_role("tab", name="Code").click()
    code = site.page.locator("#python")
    expect(code).to_contain_text("preset='llada2.1_quality', top_k=3")


def test_fewer_panels_take_room(capitals):
    site = capitals()
    wide = site.panel(1).bounding_box()["width"]
    site.sampler(3, "")
    site.sampler(4, "")
    expect(site.panel(3)).to_be_hidden()
    site.run()
    expect(site.panel(2)).to_have_attribute("data-kind", "done")
    expect(site.panel(4)).to_be_hidden()
    assert site.panel(1).bounding_box()["width"] > 1.5 * wide


def test_template_is_filled_and_grid_is_drawn_as_grid(visit):
    site = visit()
    site.task("sudoku4")
    expect(site.page.locator("#length input").first).to_be_disabled()
    site.page.get_by_role("button", name="1 2 3 4[MASK]*12").click()
    expect(site.text).to_have_value("1 2 3 4[MASK]*12")
    site.run()
    site.at_the_end(1)
    cells = site.panel(1).locator("[role=option]")
    expect(cells).to_have_count(16)
    expect(site.panel(1).locator(".prompt")).to_have_text(["1", "2", "3", "4"])
    tops = [round(cells.nth(i).bounding_box()["y"]) for i in (0, 3, 4, 12)]
    assert tops[0] == tops[1] < tops[2] < tops[3]


def test_failed_run_leaves_nothing_of_run_before(capitals):
    site = capitals()
    site.run()
    expect(site.exports).to_be_enabled()
    site.page.get_by_role("tab", name="Metrics").click()
    expect(site.page.locator("#metrics")).to_contain_text("Tokens per call")
    site.page.locator("#length input[type=number]").fill("256")
    site.page.keyboard.press("Tab")
    site.page.get_by_role("button", name="Run", exact=True).click()
    expect(site.page.locator("#status")).to_contain_text("4 error", timeout=60_000)
    expect(site.page.locator("#metrics")).not_to_contain_text("Tokens per call")
    expect(site.exports).to_be_disabled()


def test_panel_says_that_its_settings_have_changed(capitals):
    site = capitals()
    site.run()
    expect(site.panel(2)).not_to_contain_class("stale")
    site.sampler(2, "llada2")
    expect(site.panel(2)).to_contain_class("stale")
    expect(site.panel(1)).not_to_contain_class("stale")
    site.sampler(2, "mdlm")
    expect(site.panel(2)).not_to_contain_class("stale")


def test_tokens_are_read_as_text(visit):
    site = visit(task="sudoku4")
    as_text = site.page.get_by_label("As text")
    site.run()
    as_text.check()
    expect(site.panel(1).locator(".grid")).not_to_have_class("grid as-text")
    site.task("capitals")
    site.run()
    expect(site.panel(1).locator(".grid")).to_have_class("grid as-text")
    cell = site.panel(1).locator(".grid [role=option]").first
    expect(cell).to_have_css("display", "inline")
    as_text.uncheck()
    expect(site.panel(1).locator(".grid")).to_have_class("grid")
