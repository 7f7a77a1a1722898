"""A token shows what it was drawn from: before temperature and filters, and after them."""

import pytest
from playwright.sync_api import expect

import lab
from tests.browser.test_standalone import alone  # noqa: F401

HOT = {"temperature": 0.7, "top_k": 3}


@pytest.fixture
def both(visit):
    """MDLM through filters in the first panel, a greedy sampler in the second."""
    site = visit(task="capitals", reduced_motion="reduce")
    for number, name in enumerate(("mdlm", "llada2", "", ""), 1):
        site.sampler(number, name)
    site.open_settings(1)
    site.page.get_by_label("top_k of panel 1 on").check()
    site.page.get_by_label("top_k of panel 1", exact=True).fill("3")
    site.page.get_by_label("temperature of panel 1", exact=True).fill("0.7")
    site.run()
    for number in (1, 2):
        site.at_the_end(number)
    return site


def numbers(inspect) -> list[list[str]]:
    """The two columns of each alternative."""
    return [[part.split()[-1] for part in item.locator(".p").all_inner_texts()]
            for item in inspect.locator(".top li").all()]  # fmt: skip


def said(p: float) -> str:
    return f"{p:.3f}" if round(p, 3) else "–"


def agree(inspect, run, position: int) -> None:
    """What is shown of a position is what the same run records alone."""
    step = int(run.committed_step[-1, position])
    expect(inspect.locator(".facts", has_text="most likely at step")).to_contain_text(f"{step} ·")
    after = run.draws.at(step, position).tolist()
    p = run.top_probabilities[step - 1, position].tolist()
    lines = [[f"{a:.3f}", said(b)] for a, b in zip(p, after, strict=True) if max(a, b) >= 0.003]
    assert numbers(inspect) == lines and len(lines) > 1, (numbers(inspect), lines)


def test_token_shows_probabilities_before_and_after_filters(both):
    run = lab.run("mdlm", "capitals", both.text.input_value(), gen_length=None, seed=0, **HOT)[0]
    panel = both.panel(1)
    inspect = panel.locator(".inspect")
    doubtful = run.draws.position[run.draws.probabilities[:, 1] > 0.01].tolist()
    for position in doubtful[:2]:
        panel.locator("[role=option]").nth(position).click()
        expect(inspect.locator(".filters")).to_have_text(
            "before and after temperature 0.7, top_k 3"
        )
        expect(inspect.locator(".columns")).to_have_text("beforeafter")
        agree(inspect, run, position)
    expect(panel.locator(".message")).to_have_text("")
    # What is still open was not drawn yet, and has one column.
    last = int(run.draws.position[-1])
    panel.get_by_label("Step", exact=True).fill(str(int(run.draws.step[-1]) - 1))
    panel.locator("[role=option]").nth(last).click()
    expect(inspect.locator(".filters")).to_have_text("before temperature 0.7, top_k 3")
    expect(inspect.locator(".top")).to_have_class("top")


def test_greedy_token_has_one_column_and_says_so(both):
    panel = both.panel(2)
    panel.locator("[role=option]").nth(5).click()
    inspect = panel.locator(".inspect")
    expect(inspect.locator(".top")).to_have_class("top")
    expect(inspect.locator(".filters")).to_have_text(
        "temperature 0: the most likely token, nothing is drawn"
    )
    assert all(len(line) == 1 for line in numbers(inspect)) and numbers(inspect)
    expect(inspect.locator(".columns")).to_have_count(0)


def test_downloaded_page_shows_them_too(both, alone, tmp_path):  # noqa: F811
    with both.page.expect_download() as waiting:
        both.exports.select_option("html")
    waiting.value.save_as(tmp_path / "run.html")
    page = alone(tmp_path / "run.html")
    for number, text in ((0, "before and after temperature 0.7, top_k 3"), (1, "temperature 0: ")):
        inside, there = page.locator(".lab-panel").nth(number), both.panel(number + 1)
        scrub = inside.locator(".scrub")
        expect(scrub).to_have_js_property("value", scrub.get_attribute("max"), timeout=30_000)
        for panel in (inside, there):
            panel.locator("[role=option]").nth(5).click()
            expect(panel.locator(".inspect .filters")).to_contain_text(text)
        assert numbers(inside.locator(".inspect")) == numbers(there.locator(".inspect"))
