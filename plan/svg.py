"""A plan's layouts as a picture, for a pull request."""

from html import escape
from typing import Any

_SLOT, _ROW, _LEFT, _TOP = 96, 44, 20, 26
_FILL = {0: "#f3f4f6", 1: "#93c5fd", 2: "#86efac", 3: "#d8b4fe", 4: "#67e8f9", 7: "#fcd34d"}
"""By compute slices, as in the terminal drawing; 0 is a free slot."""


def picture(plan: dict[str, Any]) -> str:
    """An SVG document with every GPU of the plan, one below the other."""
    parts: list[str] = []
    y = _TOP
    width = _LEFT * 2 + _SLOT * max((gpu["memorySlots"] for node in plan["nodes"] for gpu in node["gpus"]), default=4)
    for node in plan["nodes"]:
        parts.append(_text(_LEFT, y, f"{node['name']} · {node['vmSize']}", weight="bold"))
        y += 12
        for gpu in node["gpus"]:
            parts += _gpu(gpu, y)
            y += _ROW + 34
        y += 24
    style = "font-family: ui-monospace, monospace; font-size: 14px"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" style="{style}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def _gpu(gpu: dict[str, Any], y: int) -> list[str]:
    mode = "MIG on" if gpu["mode"] else "MIG off"
    parts = [_text(_LEFT, y + 12, f"GPU {gpu['index']} · {gpu['model']} · {mode}")]
    top = y + 20
    if not gpu["mode"]:
        return [*parts, _cell(0, gpu["memorySlots"], top, "whole GPU", 7)]
    parts += [_cell(slot, 1, top, "", 0) for slot in gpu["spare"]["memorySlots"]]
    parts += [_cell(i["start"], i["size"], top, i["profile"], i["computeSlices"]) for i in gpu["instances"]]
    return parts


def _cell(start: int, size: int, y: int, text: str, compute: int) -> str:
    x, width = _LEFT + start * _SLOT, size * _SLOT
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{_ROW}" fill="{_FILL[compute]}" stroke="#374151"/>'
    return box + (_text(x + width // 2, y + _ROW // 2 + 5, text, anchor="middle") if text else "")


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
