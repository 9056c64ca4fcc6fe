"""A plan's layouts as a picture, light or dark as the reader's screen is."""

from html import escape
from typing import Any

from plan.report.colours import colour

_SLOT, _ROW, _LEFT, _TOP = 96, 52, 24, 34
_STYLE = """<style>
.paper { fill: #ffffff } .free { fill: #f8fafc } .cell { stroke: #94a3b8 }
.name { fill: #0f172a; font-weight: bold } .said { fill: #475569 } .small { fill: #475569; font-size: 12px }
.profile { fill: #0f172a; font-weight: bold } .place { fill: #334155; font-size: 12px }
@media (prefers-color-scheme: dark) {
.paper { fill: #111827 } .free { fill: #1f2937 } .name { fill: #f8fafc } .said, .small { fill: #cbd5e1 }
}
</style>"""
"""An instance is light on either paper, so the words on it are always dark."""


def picture(plan: dict[str, Any]) -> str:
    """An SVG document with every GPU of the plan, one below the other."""
    parts: list[str] = []
    y = _TOP
    width = _LEFT * 2 + _SLOT * max((gpu["memorySlots"] for node in plan["nodes"] for gpu in node["gpus"]), default=4)
    for node in plan["nodes"]:
        title = f"{node['name']} · {node['vmSize']} · strategy {plan['mig']['strategy']}"
        parts.append(_text(_LEFT, y, title, "name"))
        y += 14
        for gpu in node["gpus"]:
            parts += _gpu(gpu, y)
            y += _ROW + 72
        y += 22
    style = "font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: 14px"
    size = f'width="{width}" height="{y}" viewBox="0 0 {width} {y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" style="{style}">'
    title = f"<title>The GPUs of {escape(', '.join(node['name'] for node in plan['nodes']))}, slice by slice</title>"
    paper = '<rect class="paper" width="100%" height="100%" rx="8"/>'
    return "\n".join([head, title, _STYLE, paper, *parts, "</svg>"]) + "\n"


def _gpu(gpu: dict[str, Any], y: int) -> list[str]:
    mode = "MIG on" if gpu["mode"] else "MIG off"
    parts = [_text(_LEFT, y + 14, f"GPU {gpu['index']} · {gpu['model']} · {mode}", "said")]
    top = y + 24
    if not gpu["mode"]:
        return [*parts, *_cell(0, gpu["memorySlots"], top, ("whole GPU", ""), gpu["computeSlices"])]
    for slot in gpu["spare"]["memorySlots"]:
        parts += _cell(slot, 1, top, ("", ""), 0)
    for each in gpu["instances"]:
        place = f"{each['start']}:{each['size']} · {each['multiprocessors']} SM"
        parts += _cell(each["start"], each["size"], top, (each["profile"], place), each["computeSlices"])
    for slot in range(gpu["memorySlots"]):
        parts.append(_text(_LEFT + slot * _SLOT + 4, top + _ROW + 15, str(slot), "small"))
    spare = gpu["spare"]
    used, taken = gpu["computeSlices"] - spare["computeSlices"], gpu["memorySlots"] - len(spare["memorySlots"])
    below = f"{used} of {gpu['computeSlices']} compute slices, {taken} of {gpu['memorySlots']} memory slices"
    if spare["creatable"]:
        below += "; still creatable: " + " or ".join(f"{count} × {name}" for name, count in spare["creatable"].items())
    return [*parts, _text(_LEFT, top + _ROW + 34, below, "small")]


def _cell(start: int, size: int, y: int, words: tuple[str, str], compute: int) -> list[str]:
    x, width = _LEFT + start * _SLOT, size * _SLOT
    paint = f'class="cell" fill="{colour(compute).fill}"' if compute else 'class="cell free" stroke-dasharray="4 3"'
    parts = [f'<rect {paint} x="{x + 1}" y="{y}" width="{width - 2}" height="{_ROW}" rx="4"/>']
    middle, (name, place) = x + width // 2, words
    if name:
        parts.append(_text(middle, y + (22 if place else 31), name, "profile", 'text-anchor="middle"'))
    if place:
        parts.append(_text(middle, y + 40, place, "place", 'text-anchor="middle"'))
    return parts


def _text(x: int, y: int, text: str, kind: str, anchor: str = 'text-anchor="start"') -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" {anchor}>{escape(text)}</text>'
