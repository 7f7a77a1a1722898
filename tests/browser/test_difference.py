"""Two panels held against each other: what differs, and since when."""

import re

from playwright.sync_api import expect

DIFFERS = re.compile(r"\bdiffers\b")


def cells(panel):
    return panel.locator(".grid [role=option]")


def test_tokens_that_differ_are_marked_and_counted(visit):
    site = visit(task="capitals", reduced_motion="reduce")
    for number, sampler in enumerate(("mdlm", "mdlm", "max_prob", ""), 1):
        site.sampler(number, sampler)
    site.run()
    for number in (1, 2, 3):
        site.at_the_end(number)
    site.page.get_by_label("Mark differences to").select_option("1")
    expect(site.panel(2).locator(".difference")).to_have_text("The same text as panel 1")
    expect(site.panel(1).locator(".difference")).to_be_hidden()
    mine, theirs = (cells(site.panel(n)).all_inner_texts() for n in (3, 1))
    differ = [a != b for a, b in zip(mine, theirs, strict=True)]
    said = site.panel(3).locator(".difference")
    expect(said).to_have_text(
        re.compile(rf"^{sum(differ)} of {len(mine)} tokens differ .* step \d")
    )
    marked = [
        bool(DIFFERS.search(name or ""))
        for name in cells(site.panel(3)).evaluate_all("all => all.map(one => one.className)")
    ]
    assert marked == differ and any(differ)
    site.page.get_by_label("Mark differences to").select_option("0")
    expect(said).to_be_hidden()
    expect(site.panel(3).locator(".differs")).to_have_count(0)
