"""The line of those who want to compute, and who may be told to stop."""

import pytest

from lab.ui import slot
from lab.ui.slot import Line, NoPlace


def test_first_come_first_served():
    line = Line()
    with line.ticket() as first, line.ticket() as second, line.ticket() as third:
        assert [ticket.wait(0) for ticket in (first, second, third)] == [0, 1, 2]
        line.leave(first)
        assert [ticket.wait(0) for ticket in (second, third)] == [0, 1]
        second.to_the_end()
        assert [ticket.wait(0) for ticket in (second, third)] == [1, 0]
    assert not len(line)


def test_turn_is_over_only_where_others_wait(monkeypatch):
    monkeypatch.setattr(slot, "TURN", -1)
    line = Line()
    with line.ticket() as first:
        first.wait(0)
        assert not first.turn_is_over()
        with line.ticket():
            assert first.turn_is_over()


def test_visitor_has_one_run_and_one_that_waits():
    line = Line()
    with line.ticket("a"), line.ticket("a"), line.ticket("b"):
        with (
            pytest.raises(NoPlace, match="one run that computes and one that waits"),
            line.ticket("a"),
        ):
            pass
        assert len(line) == 3


def test_full_line_says_so(monkeypatch):
    monkeypatch.setattr(slot, "LONGEST", 1)
    line = Line()
    with (
        line.ticket(),
        pytest.raises(NoPlace, match="1 runs are waiting already"),
        line.ticket(),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "words"),
    [(1, "you are next"), (2, "2nd in line"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"),
     (13, "13th"), (22, "22nd")],
)  # fmt: skip
def test_place_is_written_as_one_says_it(place, words):
    assert words in slot.waiting(place)


def test_stop_finds_run_of_its_own_session():
    with slot.stoppable("mine") as stop:
        assert not slot.stop("yours") and not stop.is_set()
        assert slot.stop("mine") and stop.is_set()
    assert not slot.stop("mine")


def test_older_run_of_session_is_ended():
    with slot.stoppable("mine") as first:
        with slot.stoppable("mine") as second:
            assert first.is_set() and not second.is_set()
        assert not slot.stop("mine")
