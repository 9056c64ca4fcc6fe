"""Long builds run two at a time, and an error ends them all in order."""

import threading

import pytest

from sandbox import builds


def test_the_first_things_of_two_rows_are_made_at_the_same_time_and_a_row_in_its_order() -> None:
    both_begun, order = threading.Barrier(2, timeout=10), []

    def first(name: str) -> None:
        both_begun.wait()
        order.append(name)

    builds.at_once((lambda: first("a1"), lambda: order.append("a2")), (lambda: first("b1"), lambda: order.append("b2")))
    assert sorted(order) == ["a1", "a2", "b1", "b2"]
    assert order.index("a1") < order.index("a2")
    assert order.index("b1") < order.index("b2")


def test_after_a_failure_what_has_begun_ends_and_nothing_more_begins() -> None:
    both_begun, stopped, made = threading.Barrier(2, timeout=10), threading.Event(), []

    def fail() -> None:
        both_begun.wait()
        raise ValueError("no compiler")

    def slow() -> None:
        both_begun.wait()
        assert stopped.wait(10), "waited 10 s for the other row's failure"
        made.append("slow")

    rows = ((fail, lambda: made.append("after it")), (slow, lambda: made.append("after slow")))
    with pytest.raises(ValueError, match="no compiler"):
        builds.at_once(*rows, stopped=stopped)
    assert made == ["slow"]
