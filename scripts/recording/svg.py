"""A recording as one SVG picture that moves by itself, without a script: a terminal in a window."""

import re
from collections.abc import Sequence
from html import escape

from scripts.recording.cast import Cast
from scripts.recording.film import Picture, pictures
from scripts.recording.lines import Line, Run, Style

_WIDE, _HIGH, _EDGE, _BAR = 8.4, 19, 20, 42
"""A letter, a line, what is around them, and the bar on top."""
_COLOURS = (
    "#64748b", "#f87171", "#4ade80", "#facc15", "#60a5fa", "#c084fc", "#22d3ee", "#e2e8f0",
    "#94a3b8", "#fca5a5", "#86efac", "#fde047", "#93c5fd", "#d8b4fe", "#67e8f9", "#f8fafc",
)  # fmt: skip
_INKS = [f".c{number} {{ fill: {fill} }}" for number, fill in enumerate(_COLOURS)]
_LIGHTS = ((22, "#f87171"), (40, "#facc15"), (58, "#4ade80"))
_WORDS = re.compile(r"\S+(?: \S+)*")
_STYLE = """<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #cbd5e1 }
.window { fill: #0f172a; stroke: #334155 } .bar { fill: #1e293b } .title { fill: #e2e8f0; font-weight: bold }
.about { fill: #94a3b8 } .b { font-weight: bold } .u { text-decoration: underline } .d { fill: #0f172a }
"""


def svg(cast: Cast) -> str:
    """The document. Where nothing may move, or nothing can, it shows the last picture."""
    film = pictures(cast)
    width, screen = round(2 * _EDGE + cast.columns * _WIDE), cast.rows * _HIGH
    height = _BAR + screen + _EDGE
    about = f"recorded in {_minutes(cast.outputs[-1][0])}, shown in {_minutes(sum(each.seconds for each in film))}"
    numbers = {line: number for number, line in enumerate(dict.fromkeys(line for each in film for line in each.lines))}
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    last = "\n".join(_text(line) for line in film[-1].lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title about">',
            f'<title id="title">A recording of `{escape(cast.title)}`</title>',
            f'<desc id="about">A terminal, {about}: waits are cut short. At the end it shows:\n{escape(last)}</desc>',
            _STYLE + "\n".join((*_INKS, *_motion(film, screen))) + "\n</style>",
            "<defs>",
            *(f'<g id="l{number}">{"".join(map(_run, line))}</g>' for line, number in numbers.items() if line),
            "</defs>",
            f'<rect class="window" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"/>',
            f'<path class="bar" d="M1 32V11a10 10 0 0 1 10-10H{width - 11}a10 10 0 0 1 10 10V32z"/>',
            *(f'<circle cx="{x}" cy="16" r="5.5" fill="{fill}"/>' for x, fill in _LIGHTS),
            f'<text class="title" x="80" y="21">{escape(cast.title)}</text>',
            f'<text class="about" x="{width - _EDGE}" y="21" text-anchor="end">{about}, waits are cut short</text>',
            f'<svg x="{_EDGE}" y="{_BAR}" width="{width - _EDGE}" height="{screen}">',
            f'<g class="film" transform="translate(0 {-screen * (len(film) - 1)})">',
            *(line for number, each in enumerate(film) for line in _picture(each, number * screen, numbers)),
            "</g></svg></svg>\n",
        ]
    )


def _picture(picture: Picture, top: int, numbers: dict[Line, int]) -> list[str]:
    return [
        f'<use href="#l{numbers[line]}" y="{top + row * _HIGH}"/>' for row, line in enumerate(picture.lines) if line
    ]


def _run(run: Run) -> str:
    # Words that two spaces part stand at their columns, however wide the reader's letters are.
    kind = f' class="{names}"' if (names := _classes(run.style)) else ""
    words = [
        f'<text{kind} x="{_x(run.column + found.start())}" y="14">{escape(found[0])}</text>'
        for found in _WORDS.finditer(run.text)
    ]
    if run.style.paper is not None:
        shape = f'x="{_x(run.column)}" width="{_x(len(run.text))}" height="{_HIGH}"'
        words.insert(0, f'<rect {shape} fill="{_COLOURS[run.style.paper]}"/>')
    return "".join(words)


def _x(columns: int) -> str:
    return f"{columns * _WIDE:.1f}"


def _classes(style: Style) -> str:
    # Words on a colour are dark, whatever their own, as on paper.
    ink = "d" if style.paper is not None else f"c{style.ink}" if style.ink is not None else ""
    return " ".join(filter(None, (ink, "b" if style.bold else "", "u" if style.underlined else "")))


def _motion(film: Sequence[Picture], screen: int) -> list[str]:
    """The styles that move one picture after the other into the window."""
    whole, at, steps = sum(each.seconds for each in film), 0.0, []
    for number, each in enumerate(film):
        steps.append(f"{at / whole:.2%} {{ transform: translate(0, {-screen * number}px) }}")
        at += each.seconds
    steps.append(f"100% {{ transform: translate(0, {-screen * (len(film) - 1)}px) }}")
    return [
        f"@keyframes film {{ {' '.join(steps)} }}",
        "@media (prefers-reduced-motion: no-preference) {",
        f".film {{ animation: film {whole:.1f}s step-end infinite }}",
        "}",
    ]


def _text(line: Line) -> str:
    text = ""
    for run in line:
        text = text.ljust(run.column) + run.text
    return text


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
