"""How long the dialling lasts, by the real provider's habit: a limit of 10 ended after 11 s, one of 60 after 262 s."""

import pytest

from components.dialling import AWAY, REBOOTING, RUNNING, Dialling


def waits(count: int) -> list[float]:
    """The provider's first waits between dials, in seconds."""
    return [min(0.1 * 1.5**number, 5.0) for number in range(count)]


def end(dialling: Dialling, *phases: tuple[float, float]) -> float | None:
    """When the provider gives up on a machine, seconds; None if it gets in first.

    A phase is (its end, how long one dial fails in it); after the last one the machine answers. A dial that began in
    the dark fails, though the real one may still get in: its packets are sent again.
    """
    now = 0.0
    for wait in [*waits(dialling.limit), 0.0]:
        fails_after = next((seconds for until, seconds in phases if now < until), None)
        if fails_after is None:
            return None
        now += min(fails_after, dialling.seconds_per_dial) + wait
    return now


FOR_EVER = float("inf")
AT_ONCE, DARK, NO_ROUTE = 0.0, 1000.0, 3.0


def test_the_habit_is_the_one_that_was_observed() -> None:
    assert [round(sum(waits(limit))) for limit in (10, 12, 60)] == [11, 21, 261]
    assert end(Dialling(limit=2, seconds_per_dial=15, minutes=1), (FOR_EVER, DARK)) == 3 * 15 + 0.1 + 0.15


@pytest.mark.parametrize(
    ("dialling", "fails_after", "seconds"),
    [
        (RUNNING, AT_ONCE, 51),
        (RUNNING, 0.45, 60),  # a handshake across an ocean
        (RUNNING, DARK, 1191),
        (RUNNING, NO_ROUTE, 108),
        (AWAY, DARK, 10),
        (REBOOTING, AT_ONCE, 711),
        (REBOOTING, DARK, 2221),
        (REBOOTING, NO_ROUTE, 1164),
    ],
)
def test_a_machine_that_never_answers_is_given_up_after_so_many_seconds(
    dialling: Dialling, fails_after: float, seconds: int
) -> None:
    given_up = end(dialling, (FOR_EVER, fails_after))
    assert given_up is not None
    assert round(given_up) == seconds


@pytest.mark.parametrize(
    ("dialling", "phases"),
    [
        pytest.param(RUNNING, [(50, AT_ONCE)], id="a first boot: sshd comes late"),
        pytest.param(RUNNING, [(180, DARK), (215, AT_ONCE)], id="a first boot: three minutes, then sshd comes late"),
        pytest.param(RUNNING, [(600, DARK), (640, AT_ONCE)], id="eight GPUs after `az vm start`"),
        pytest.param(RUNNING, [(1080, DARK)], id="eighteen minutes in the dark"),
        pytest.param(REBOOTING, [(240, AT_ONCE), (840, DARK), (900, AT_ONCE)], id="a reboot with eight GPUs, all slow"),
        pytest.param(REBOOTING, [(240, AT_ONCE), (840, NO_ROUTE), (900, AT_ONCE)], id="the same on one Ethernet"),
        pytest.param(REBOOTING, [(600, AT_ONCE)], id="pods that take ten minutes to end"),
    ],
)
def test_a_machine_that_is_slow_has_its_time(dialling: Dialling, phases: list[tuple[float, float]]) -> None:
    assert end(dialling, *phases) is None


@pytest.mark.parametrize(("dialling", "seconds"), [(RUNNING, 1191), (REBOOTING, 2221)])
def test_the_reason_comes_before_the_bare_deadline_with_minutes_to_spare(dialling: Dialling, seconds: int) -> None:
    assert dialling.minutes * 60 >= seconds + 300
