"""Recordings of a terminal: what is kept, what is left out, and the picture in the README."""

import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pyte import Screen, Stream

from scripts.recording import cast as recordings
from scripts.recording.__main__ import main
from scripts.recording.cast import Cast, record, whole_lines, without
from scripts.recording.film import pictures, shortened
from scripts.recording.lines import Line, Run, Style, shown, written
from scripts.recording.svg import svg

_DOCS = Path(__file__).parents[2] / "docs"


def _lines(text: str) -> tuple[Line, ...]:
    screen = Screen(20, 10)
    Stream(screen).feed(text)
    return shown(screen)


def _plain(*texts: str) -> tuple[Line, ...]:
    return tuple((Run(0, text, Style()),) if text else () for text in texts)


def _cast(*outputs: tuple[float, str], rows: int = 10) -> Cast:
    return Cast(title="make x", columns=20, rows=rows, outputs=outputs)


# ---- lines


def test_the_lines_of_a_screen_end_with_the_last_that_has_something() -> None:
    assert _lines("") == ()
    assert _lines("a\r\n\r\nb\r\n\r\n") == _plain("a", "", "b")
    assert _lines("a\r\nb\r\nc\r\n\x1b[2A\x1b[Jz") == _plain("a", "z")


def test_colours_are_those_that_were_asked_for() -> None:
    (line,) = _lines("\x1b[38;5;2mgo\x1b[0m \x1b[1;31mno\x1b[0m \x1b[30;45m p \x1b[0m\x1b[4mu\x1b[0m")
    assert line == (
        Run(0, "go", Style(ink=2)),
        Run(3, "no", Style(ink=1, bold=True)),
        Run(6, " p ", Style(ink=0, paper=5)),
        Run(9, "u", Style(underlined=True)),
    )
    assert _lines(written(line)) == (line,)


@pytest.mark.parametrize(
    "codes",
    [
        ("30", "37", "90", "97", "40", "47", "100", "105", "107"),
        ("38;5;0", "38;5;7", "38;5;8", "38;5;15", "48;5;0", "48;5;7", "48;5;8", "48;5;13", "48;5;15"),
    ],
)
def test_a_colour_is_the_same_by_its_own_code_and_by_its_place_among_256(codes: tuple[str, ...]) -> None:
    (line,) = _lines("".join(f"\x1b[0;{code}mx" for code in codes))
    assert [(run.style.ink, run.style.paper) for run in line] == [
        *((0, None), (7, None), (8, None), (15, None)),
        *((None, 0), (None, 7), (None, 8), (None, 13), (None, 15)),
    ]


def test_spaces_that_are_not_seen_are_left_out() -> None:
    assert _lines(" \x1b[31m a  b \x1b[K\x1b[1m  \x1b[0m  c") == (
        (Run(2, "a  b", Style(ink=1)), Run(11, "c", Style())),
    )
    assert _lines("\x1b[4m u \x1b[0m") == ((Run(0, " u ", Style(underlined=True)),),)
    assert _lines("\x1b[44m\x1b[K") == ((Run(0, " " * 20, Style(paper=4)),),)


@pytest.mark.parametrize("text", ["\x1b[38;2;1;2;3mx", "\x1b[48;5;100mx", "\x1b[7mx", "\x1b[3mx", "日"])
def test_what_a_picture_cannot_show_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a picture would not show this as a terminal does"):
        _lines(text)


# ---- a recording


def test_what_is_hidden_is_replaced_as_a_word_of_its_own() -> None:
    hidden = {"/root": "~", "/root/mig": "~/mig-k8s", "vm": "host"}
    assert without(hidden, "/root/mig/a /root/b machine-vm-0 a.vm vm: /chroot/root") == (
        "~/mig-k8s/a ~/b machine-vm-0 a.vm host: /chroot/root"
    )


def test_no_line_is_in_two_pieces() -> None:
    pieces = [(1.0, b"a /ro"), (2.0, b"ot\nb\nc "), (3.0, "×".encode()[:1]), (4.0, "×".encode()[1:])]
    assert list(whole_lines(pieces)) == [(2.0, "a /root\nb\n"), (4.0, "c ×")]


def test_a_command_is_recorded_in_a_terminal_with_its_exit_status(capfd: pytest.CaptureFixture[str]) -> None:
    script = 'test -t 0 && test -t 1 && test -t 2 && echo "$COLUMNS $LINES, $(stty size) in $0"; exit 3'
    recorded, status = record(["sh", "-c", script, "/home/me/x"], "make x", hidden={"/home/me": "~"})
    assert status == 3
    assert "".join(text for _, text in recorded.outputs) == "100 30, 30 100 in ~/x\r\n"
    assert capfd.readouterr().out == "100 30, 30 100 in /home/me/x\r\n"
    assert (recorded.title, recorded.columns, recorded.rows) == ("make x", 100, 30)


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = _cast((0.5, "one\r\n"), (1.25, "×\r\n"))
    made.write(tmp_path / "x.cast")
    assert (tmp_path / "x.cast").read_text(encoding="utf-8") == (
        '{"version": 2, "width": 20, "height": 10, "title": "make x"}\n'
        '[0.5, "o", "one\\r\\n"]\n[1.25, "o", "×\\r\\n"]\n'
    )
    assert Cast.read(tmp_path / "x.cast") == made
    (tmp_path / "x.cast").write_text('{"version": 1}\n')
    with pytest.raises(ValueError, match="is not a recording of asciinema's version 2"):
        Cast.read(tmp_path / "x.cast")


def test_a_recording_of_what_failed_is_not_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The one of before stays, and the exit status is the command's."""
    kept = tmp_path / "x.cast"
    assert main(["record", str(kept), "--title", "make x", "--", "sh", "-c", "echo no; exit 4"]) == 4
    assert not kept.exists()
    assert main(["record", str(kept), "--title", "make x", "--", "sh", "-c", f"echo in {Path.home()}"]) == 0
    assert [text for _, text in Cast.read(kept).outputs] == ["\x1b[Jin ~\r\n"]
    assert main(["draw", str(kept), str(tmp_path / "x.svg")]) == 0
    assert (tmp_path / "x.svg").read_text(encoding="utf-8") == svg(Cast.read(kept))
    assert capfd.readouterr().err == ""


# ---- its pictures


def test_a_wait_is_one_picture_of_a_second_and_shows_its_end() -> None:
    film = pictures(
        _cast((0, "work …\r\n"), (1, "\r 1.0 s"), (2, "\r 2.0 s"), (3, "\r 3.0 s"), (9, "\r\x1b[Kdone\r\n"))
    )
    assert [(each.lines, each.seconds) for each in film] == [
        (_plain("work …"), 1.0),
        ((*_plain("work …"), (Run(1, "3.0 s", Style()),)), 1.0),
        (_plain("work …", "done"), 10.0),
    ]


def test_what_changes_faster_than_can_be_seen_is_one_picture() -> None:
    film = pictures(_cast((0, "a\r\n"), (1, "b\r\n"), (1.1, "c\r\n"), (1.2, "d\r\n"), (3, "e\r\n")))
    assert [len(each.lines) for each in film] == [1, 2, 4, 5]


def test_a_picture_has_the_last_rows() -> None:
    film = pictures(_cast((0, "a\r\nb\r\nc\r\nd\r\n"), rows=2))
    assert film[-1].lines == _plain("c", "d")


def test_a_shortened_recording_has_the_same_pictures() -> None:
    long = _cast(
        (0, "\x1b[1mplan\x1b[0m\r\n"),
        (1, "x 1s\r\ny\r\n"),
        (2, "\x1b[2Ax 2s\r\n\x1b[32my\x1b[0m\r\n"),
        (3, "\x1b[2Ax \x1b[44m 3s \x1b[0m done\r\n\r\nend\r\n"),
    )
    short = shortened(long)
    assert pictures(short) == pictures(long)
    assert shortened(short) == short
    assert short.outputs[-1] == (
        3,
        "\x1b[2A\x1b[Jx \x1b[0;48;5;4m 3s \x1b[0m done\r\n\x1b[0;38;5;2my\x1b[0m\r\nend\r\n",
    )


# ---- the picture


def test_a_picture_is_whole_says_what_it_is_and_stands_still_where_that_is_wanted() -> None:
    text = svg(_cast((0, "a <b>\r\n"), (70, "c & d\r\n")))
    root = ET.fromstring(text)  # noqa: S314 - our own text
    spaced = {"s": "http://www.w3.org/2000/svg"}
    assert root.findtext("s:title", namespaces=spaced) == "A recording of `make x`"
    assert root.findtext("s:desc", namespaces=spaced) == (
        "A terminal, recorded in 1 min 10 s, shown in 11 s: waits are cut short. At the end it shows:\na <b>\nc & d"
    )
    assert "@media (prefers-reduced-motion: no-preference) {\n.film { animation: film 11.0s step-end infinite }" in text
    assert '<g class="film" transform="translate(0 -190)">' in text
    assert "@keyframes film { 0.00% { transform: translate(0, 0px) } 9.09% { transform: translate(0, -190px) }" in text


def test_words_on_a_colour_are_dark_and_stand_at_their_columns() -> None:
    text = svg(_cast((0, "name   \x1b[30;45m 1 × 3g \x1b[0m\r\n")))
    assert (
        '<text x="0.0" y="14">name</text>'
        '<rect x="58.8" width="67.2" height="19" fill="#c084fc"/><text class="d" x="67.2" y="14">1 × 3g</text>'
    ) in text


# ---- the one in the README


def test_the_picture_in_the_readme_is_drawn_from_the_recording_that_is_kept() -> None:
    """`python -m scripts.recording draw docs/sandbox.cast docs/sandbox.svg` would change nothing."""
    kept = Cast.read(_DOCS / "sandbox.cast")
    assert (_DOCS / "sandbox.svg").read_text(encoding="utf-8") == svg(kept)
    assert (kept.columns, kept.rows) == (recordings.COLUMNS, recordings.ROWS)


def test_the_recording_ends_with_a_verification_that_passed() -> None:
    last = "\n".join(
        " ".join(run.text for run in line) for line in pictures(Cast.read(_DOCS / "sandbox.cast"))[-1].lines
    )
    assert re.search(r"verification: passed , \d+ of \d+ checks in \d+ s", last)
    assert "make sandbox-down" in last


@pytest.mark.parametrize("name", ["sandbox.cast", "sandbox.svg"])
def test_the_recording_has_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    """No folder but `~`, no address, no name of a host, nothing like a key; and loads nothing."""
    text = (_DOCS / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?<![\w~.:])/(?!g>|text>|svg>|use>|style>|title>|desc>|defs>|>)[\w.-]+", text) == []
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|://|-----BEGIN|ssh-(ed25519|rsa)|[A-Za-z0-9+/]{40,}", text)
    assert not re.search(rf"(?<![\w-]){re.escape(socket.gethostname())}(?![\w-])", text)
    assert len(text) < 100_000
