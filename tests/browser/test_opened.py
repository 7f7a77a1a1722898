"""A saved run, opened again: scrubbed, drawn and saved without any model."""

import json

import pytest
from playwright.sync_api import expect

import lab


@pytest.fixture
def opening(visit):
    """The page, and a way to open a file in it."""
    site = visit(reduced_motion="reduce")

    def open_file(path):
        with site.page.expect_file_chooser() as chooser:
            site.page.get_by_role("button", name="Open", exact=True).click()
        chooser.value.set_files(path)
        return site

    return open_file


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_saved_run_is_opened_scrubbed_and_saved_again(opening, tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    runs = [
        run
        for sampler in ("mdlm", "llada2")
        for run in lab.run(sampler, "sudoku4", template="1 2 3 4[MASK]*12", seed=3)
    ]
    lab.save(runs, path)
    site = opening(path)
    expect(site.page.locator("#status")).to_contain_text(f"Opened mine.{suffix}: 2 runs")
    expect(site.panel(1).locator(".title")).to_have_text("MDLM (absorbing)")
    expect(site.panel(2).locator(".subtitle")).to_contain_text(f"seed 3 · from mine.{suffix}")
    expect(site.panel(3)).to_be_hidden()
    expect(site.panel(1).locator("[role=option]")).to_have_count(16)
    site.panel(1).get_by_label("Step").fill("0")
    expect(site.panel(1).locator(".mask")).to_have_count(12)
    with site.page.expect_download() as waiting:
        site.exports.select_option("csv")
    waiting.value.save_as(tmp_path / "again.csv")
    for one, other in zip(lab.read(tmp_path / "again.csv"), runs, strict=True):
        assert one == other
    site.page.get_by_role("tab", name="Confidence").click()
    expect(site.page.locator(".js-plotly-plot:visible")).to_have_count(2, timeout=30_000)
    site.page.get_by_role("tab", name="Code").click()
    expect(site.page.locator("#python")).to_contain_text(f"lab.read('mine.{suffix}')")
    expect(site.page.locator("#shell")).to_be_hidden()


def test_file_that_is_no_run_says_so_and_leaves_panels(opening, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    lab.save(lab.run("mdlm", "capitals", steps=4), good)
    bad.write_text("{}")
    site = opening(good)
    expect(site.page.locator("#status")).to_contain_text("Opened good.json: 1 run")
    opening(bad)
    expect(site.page.locator("#status")).to_contain_text("bad.json: it must hold")
    expect(site.panel(1)).to_have_attribute("data-kind", "done")


def test_file_puts_no_picture_into_status(opening, tmp_path):
    path = tmp_path / "field.json"
    lab.save(lab.run("mdlm", "capitals", steps=2), path)
    saved = json.loads(path.read_text())
    saved["runs"][0]["![p](http://x.example/y)"] = 1
    path.write_text(json.dumps(saved))
    site = opening(path)
    expect(site.page.locator("#status")).to_contain_text("![p](http://x.example/y)")
    assert site.page.locator("#status img").count() == 0
