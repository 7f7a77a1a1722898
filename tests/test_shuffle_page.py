"""The exact numbers of docs/is-your-sampler-correct.md on what so many calls can do at best."""

import math

import pytest

from docs.shuffle_page import SETTINGS, TASK, points, shuffle_figure, shuffle_table


@pytest.mark.parametrize("sampler", SETTINGS)
def test_one_call_is_at_bound_and_more_calls_come_closer(sampler):
    reached = points()[sampler]
    for each in reached:
        assert each.kl == pytest.approx(-math.log(each.right))  # right answers are all as likely
        if each.calls == 1:
            assert each.kl == pytest.approx(TASK.bounds["shuffle"])
        if each.calls == 4:
            assert each.kl == pytest.approx(0)
    assert [each.kl for each in reached] == sorted((each.kl for each in reached), reverse=True)


def test_table_and_figure_name_every_sampler():
    for sampler in SETTINGS:
        assert f"`{sampler}`" in shuffle_table()
    assert "one call at best" in shuffle_figure()
