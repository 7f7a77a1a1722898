"""The field for another model in the page: looked up, loaded, run; refused without any loss."""

import time

import pytest
from playwright.sync_api import expect

from lab.ui import loaded_models
from lab.ui.shelf import Shelf
from tests.kit import fake_hub, published

BERT, LARGE = "google-bert/bert-base-uncased", "GSAI-ML/LLaDA-8B-Instruct"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that is slow to give weights away, with a small model and one that says it is large.

    A test asks for it before `visit`, so that the page is closed first: one that has just chosen
    the model still asks about it, and would read that nobody has loaded it.
    """
    monkeypatch.setattr(loaded_models, "_KNOWN", Shelf(1.0))
    with fake_hub.reached(monkeypatch, tmp_path / "cache") as running:
        running.add(BERT, published.write(tmp_path / "bert", "bert"))
        running.add(LARGE, published.write(tmp_path / "large", "qwen3-mdlm"),
                    safetensors={"parameters": {"BF16": 10**13}, "total": 10**13})  # fmt: skip
        answer = running.answer

        def slow(path):
            if path.endswith(".safetensors"):
                time.sleep(0.5)
            return answer(path)

        running.answer = slow
        yield running


def test_another_model_is_looked_up_loaded_and_run(hub, visit):
    site = visit()
    reply = site.page.locator("#other-answer")
    load = site.page.get_by_role("button", name="Load", exact=True)
    site.page.get_by_role("button", name="Load another model").click()
    field = site.page.get_by_label("Hub id or folder")
    field.fill(LARGE)
    field.press("Enter")
    expect(reply).to_contain_text("GB are free", timeout=30_000)
    expect(load).to_be_disabled()
    field.fill(BERT)
    site.page.get_by_role("button", name="Look up").click()
    expect(reply).to_contain_text("Masked language models", timeout=30_000)
    expect(reply).to_contain_text("max_prob")
    assert not hub.fetched(".safetensors")
    field.fill(BERT + "x")
    expect(load).to_be_disabled()
    field.fill(BERT)
    field.press("Enter")
    load.click()
    expect(site.page.locator("#other")).to_contain_text(" of 0.", timeout=30_000)
    expect(reply).to_contain_text("loaded, and chosen as the task", timeout=30_000)
    expect(site.page.locator("#task input")).to_have_value(f"{BERT}@{fake_hub.COMMIT[:12]}")
    expect(site.panel(1).locator(".title")).to_have_text("Largest probability", timeout=15_000)
    site.run()
    for number in (1, 2, 3, 4):
        expect(site.panel(number)).to_have_attribute("data-kind", "done")
        expect(site.panel(number).locator(".subtitle")).to_contain_text(BERT)
    field.fill("nobody/none")
    field.press("Enter")
    expect(reply.get_by_role("alert")).to_contain_text("there is no nobody/none", timeout=30_000)
    expect(site.panel(1)).to_have_attribute("data-kind", "done")
    assert site.page.locator("#task input").input_value().startswith(BERT)
    site.task("capitals")
    expect(site.panel(1).locator(".title")).to_have_text("Largest probability")
    site.run()
    expect(site.panel(1).locator(".title")).to_have_text("LLaDA2 (block refinement)")


def test_load_is_stopped_and_may_go_on(hub, visit):
    site, answer = visit(), hub.answer

    def slower(path):
        if path.endswith(".json"):
            time.sleep(1)
        return answer(path)

    site.page.get_by_role("button", name="Load another model").click()
    field, reply = site.page.get_by_label("Hub id or folder"), site.page.locator("#other-answer")
    load = site.page.get_by_role("button", name="Load", exact=True)
    field.fill(BERT)
    field.press("Enter")
    expect(load).to_be_enabled(timeout=30_000)
    hub.answer = slower
    load.click()
    site.page.get_by_role("button", name="Stop loading").click()
    expect(reply).to_contain_text("stopped", timeout=30_000)
    assert not hub.fetched(".safetensors") and not loaded_models.known()
    hub.answer = answer
    load.click()
    expect(reply).to_contain_text("loaded, and chosen as the task", timeout=30_000)
    expect(site.panel(1).locator(".title")).to_have_text("Largest probability", timeout=15_000)


def test_run_pressed_before_task_came_back_runs_new_task(visit):
    site, held = visit(), []
    site.page.route("**/gradio_api/run/**", lambda route: held.append(route))
    site.page.locator("#task input").click()
    site.page.get_by_role("option", name="sudoku4", exact=True).click()
    site.page.get_by_role("button", name="Run", exact=True).click()
    expect(site.panel(1).locator(".subtitle")).to_contain_text("sudoku4 ·", timeout=30_000)
    expect(site.panel(4)).to_have_attribute("data-kind", "done", timeout=30_000)
    assert held
    for route in held:
        route.continue_()
    site.page.unroute("**/gradio_api/run/**")
    expect(site.text).to_have_value("[MASK]*16", timeout=15_000)
    expect(site.panel(4)).to_have_attribute("data-kind", "done")
