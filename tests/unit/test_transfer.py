"""Which bytes of a file a client asks for, and how they are spread over the time that the real ones would take."""

import io

import pytest

from sandbox.mirror import transfer


class Clock:
    """Takes the place of the module `time`: sleeping is all that makes time go by."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(transfer, "time", clock)
    return clock


def sent(clock: Clock, content: bytes, size: int, seconds: float) -> list[tuple[float, bytes]]:
    """What was sent, with the seconds that had gone by then."""
    pieces: list[tuple[float, bytes]] = []
    transfer.send(io.BytesIO(content), size, seconds, lambda piece: pieces.append((clock.now - 100, piece)))
    return pieces


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", range(10)),
        ("bytes=4-", range(4, 10)),
        ("bytes=4-6", range(4, 7)),
        ("bytes=4-4", range(4, 5)),
        ("bytes=4-99", range(4, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=7-3", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
    ],
)
def test_a_range_is_the_bytes_from_the_first_to_the_last_one_and_what_is_none_is_the_whole_file(
    header: str | None, expected: range | None
) -> None:
    assert transfer.part(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=12-20", "bytes=-0"])
def test_a_range_of_which_the_file_has_nothing_is_empty(header: str) -> None:
    part = transfer.part(header, 10)
    assert part is not None
    assert len(part) == 0


def test_a_body_is_spread_evenly_over_its_time(clock: Clock) -> None:
    pieces = sent(clock, b"0123456789", 10, 1.0)
    assert [piece for _, piece in pieces] == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
    assert [round(when, 3) for when, _ in pieces] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_half_of_a_body_is_there_after_half_of_its_time(clock: Clock) -> None:
    pieces = sent(clock, bytes(3000), 3000, 20.0)
    assert sum(len(piece) for when, piece in pieces if when <= 10.001) == 1500


def test_a_body_with_fewer_bytes_than_pieces_is_sent_byte_by_byte(clock: Clock) -> None:
    assert [(round(when), piece) for when, piece in sent(clock, b"abc", 3, 60.0)] == [
        (20, b"a"),
        (40, b"b"),
        (60, b"c"),
    ]


def test_without_time_all_of_it_is_sent_at_once_and_no_more_than_was_asked_for(clock: Clock) -> None:
    pieces = sent(clock, b"x" * 1_000_000, 700_000, 0)
    assert sum(len(piece) for _, piece in pieces) == 700_000
    assert {when for when, _ in pieces} == {0}


def test_an_empty_body_is_sent_too(clock: Clock) -> None:
    assert sent(clock, b"", 0, 0) == []
