"""Which bytes of a file a client asks for."""

import pytest

from sandbox.mirror import transfer


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
