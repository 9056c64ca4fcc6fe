"""A timeline as an SVG picture."""

from html import escape

from scripts.timeline import words
from scripts.timeline.rows import Row, rows
from scripts.timeline.update import Timeline

_LEFT, _BAR, _RIGHT, _ROW, _TOP = 210, 640, 80, 22, 64
_LETTERS = 24
"""So many of a wide type fit before the bars."""
_CRITICAL, _OTHER = "#1d4ed8", "#cbd5e1"
_TICKS = 6


def svg(timeline: Timeline) -> str:
    """The document: a row for each thing, dark where the end of the update waited for it."""
    parts, y, lane = [], _TOP, None
    for row in rows(timeline):
        if row.lane != lane:
            lane = row.lane
            y += _ROW // 2
            parts.append(_text(16, y + 15, lane, 'font-weight="bold"'))
            y += _ROW
        parts += _row(timeline, row, y)
        y += _ROW
    height, width = y + 24, _LEFT + _BAR + _RIGHT
    style = "font-family: ui-sans-serif, system-ui, sans-serif; font-size: 13px"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{style}">'
    title = f"<title>{escape(words.path(timeline))}</title>"
    return "\n".join(
        [
            head,
            title,
            '<rect width="100%" height="100%" rx="8" fill="white"/>',
            _text(16, 26, words.title(timeline), 'font-weight="bold"'),
            *_scale(timeline, y),
            *parts,
            "</svg>\n",
        ]
    )


def _scale(timeline: Timeline, bottom: int) -> list[str]:
    parts = []
    for tick in range(_TICKS + 1):
        x = _LEFT + _BAR * tick // _TICKS
        parts.append(f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{bottom}" stroke="#e2e8f0"/>')
        parts.append(_text(x, _TOP - 12, f"{timeline.seconds * tick / _TICKS:.0f} s", 'text-anchor="middle"'))
    return parts


def _row(timeline: Timeline, row: Row, y: int) -> list[str]:
    parts = [_text(32, y + 15, row.label(_LETTERS), "")]
    for span in row.spans:
        x = _LEFT + (span.begins - timeline.begun).total_seconds() / timeline.seconds * _BAR
        width = max(1.5, span.seconds / timeline.seconds * _BAR)
        fill = _CRITICAL if row.is_critical else _OTHER
        parts.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" rx="2" fill="{fill}"/>')
    seconds = f"{row.seconds:.1f} s"
    return [*parts, _text(_LEFT + _BAR + _RIGHT - 16, y + 15, seconds, 'text-anchor="end" fill="#64748b"')]


def _text(x: int, y: int, words: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'
