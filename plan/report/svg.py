"""A plan's layouts as a picture, for a pull request."""

from html import escape
from typing import Any

from plan.report.colours import colour

_SLOT, _ROW, _LEFT, _TOP = 96, 52, 24, 34
_FREE = "#f8fafc"
_STRONG = 'fill="#0f172a" font-weight="bold"'
_PLAIN = 'fill="#64748b"'
_SMALL = 'fill="#64748b" font-size="12px"'


def picture(plan: dict[str, Any]) -> str:
    """An SVG document with every GPU of the plan, one below the other."""
    parts: list[str] = []
    y = _TOP
    width = _LEFT * 2 + _SLOT * max((gpu["memorySlots"] for node in plan["nodes"] for gpu in node["gpus"]), default=4)
    for node in plan["nodes"]:
        title = f"{node['name']} · {node['vmSize']} · strategy {plan['mig']['strategy']}"
        parts.append(_text(_LEFT, y, title, _STRONG))
        y += 14
        for gpu in node["gpus"]:
            parts += _gpu(gpu, y)
            y += _ROW + 72
        y += 22
    style = "font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: 14px"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" style="{style}">'
    return "\n".join([head, '<rect width="100%" height="100%" rx="8" fill="white"/>', *parts, "</svg>"]) + "\n"


def _gpu(gpu: dict[str, Any], y: int) -> list[str]:
    mode = "MIG on" if gpu["mode"] else "MIG off"
    parts = [_text(_LEFT, y + 14, f"GPU {gpu['index']} · {gpu['model']} · {mode}", _PLAIN)]
    top = y + 24
    if not gpu["mode"]:
        return [*parts, *_cell(0, gpu["memorySlots"], top, ("whole GPU", ""), gpu["computeSlices"])]
    for slot in gpu["spare"]["memorySlots"]:
        parts += _cell(slot, 1, top, ("", ""), 0)
    for each in gpu["instances"]:
        place = f"{each['start']}:{each['size']} · {each['multiprocessors']} SM"
        parts += _cell(each["start"], each["size"], top, (each["profile"], place), each["computeSlices"])
    for slot in range(gpu["memorySlots"]):
        parts.append(_text(_LEFT + slot * _SLOT + 4, top + _ROW + 15, str(slot), _SMALL))
    spare = gpu["spare"]
    used, taken = gpu["computeSlices"] - spare["computeSlices"], gpu["memorySlots"] - len(spare["memorySlots"])
    below = f"{used} of {gpu['computeSlices']} compute slices, {taken} of {gpu['memorySlots']} memory slices"
    if spare["creatable"]:
        below += "; still creatable: " + " or ".join(f"{count} × {name}" for name, count in spare["creatable"].items())
    return [*parts, _text(_LEFT, top + _ROW + 34, below, _SMALL)]


def _cell(start: int, size: int, y: int, words: tuple[str, str], compute: int) -> list[str]:
    x, width = _LEFT + start * _SLOT, size * _SLOT
    border = 'stroke="#94a3b8"' if compute else 'stroke="#94a3b8" stroke-dasharray="4 3"'
    shape = f'x="{x + 1}" y="{y}" width="{width - 2}" height="{_ROW}" rx="4"'
    parts = [f'<rect {shape} fill="{colour(compute).fill if compute else _FREE}" {border}/>']
    middle, (name, place) = x + width // 2, words
    if name:
        parts.append(_text(middle, y + (22 if place else 31), name, f'{_STRONG} text-anchor="middle"'))
    if place:
        parts.append(_text(middle, y + 40, place, f'{_SMALL} text-anchor="middle"'))
    return parts


def _text(x: int, y: int, text: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
