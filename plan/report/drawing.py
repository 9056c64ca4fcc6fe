"""A plan drawn for a terminal: every GPU slice by slice, and what the cluster will show."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from plan.report import colours, words
from plan.yaml_text import yaml_text

WIDTH = 100
_SLOT = 9
"""Columns of one memory slot, where the terminal is wide enough for all slots of the GPU."""


def draw(plan: dict[str, Any], *, colour: bool, width: int = WIDTH) -> str:
    """The plan of `plan.report.summary.summary`, at most `width` columns wide, 80 or more; commands may be longer."""
    return "\n".join(_lines(plan, colour=colour, width=width)) + "\n"


def _lines(plan: dict[str, Any], *, colour: bool, width: int) -> Iterator[str]:
    def bold(text: str) -> str:
        return colours.painted(text) if colour else text

    operator = plan["gpuOperator"]
    yield words.headline(plan)
    yield from textwrap.wrap(words.admins(plan), width, subsequent_indent="  ")
    for names, node in words.alike(plan["nodes"]):
        yield ""
        yield f"{bold(names)}  {node['role']}, {node['vmSize']}"
        for what, gpus in words.alike_gpus(node["gpus"]):
            yield ""
            yield f"  {what}"
            yield from _gpus(gpus, colour=colour, width=width)
        yield ""
        yield from _facts(node, width)
    yield ""
    yield bold(f"GPU Operator {operator['version']}") + f"  {operator['repository'] or operator['chart']}"
    yield from ("  " + line for line in yaml_text(operator["values"]).splitlines())
    for path, reason in operator["reasons"].items():
        yield from textwrap.wrap(f"{path}: {reason}", width, initial_indent="  # ", subsequent_indent="  # ")
    for number, warning in enumerate(plan["warnings"]):
        yield from ("", bold("Warnings")) if not number else ()
        for indent, text in (
            (2, words.warned_of(warning)),
            (4, warning["what"]),
            (4, warning["remedy"]),
        ):
            yield from textwrap.wrap(
                text, width, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
            )
    yield ""
    yield bold("Only Azure knows")
    for command, questions in words.questions(plan):
        for each in questions:
            yield from textwrap.wrap(each, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        yield f"    {command}"


def _gpus(alike: list[dict[str, Any]], *, colour: bool, width: int) -> Iterator[str]:
    gpu = alike[0]
    if not gpu["mode"]:
        return
    slot = min(_SLOT, (width - 3) // gpu["memorySlots"])
    cells = [(text, size * slot - 1, compute) for text, size, compute in _cells(gpu)]
    yield "   " + "".join(f"{number:<{slot}}" for number in range(gpu["memorySlots"])).rstrip()
    yield "  ┌" + "┬".join("─" * room for _, room, _ in cells) + "┐"
    yield "  │" + "│".join(_painted(text, room, compute, colour=colour) for text, room, compute in cells) + "│"
    yield "  └" + "┴".join("─" * room for _, room, _ in cells) + "┘"
    spare = gpu["spare"]
    used = gpu["computeSlices"] - spare["computeSlices"]
    taken = gpu["memorySlots"] - len(spare["memorySlots"])
    yield f"  compute slices {used} of {gpu['computeSlices']}, memory slices {taken} of {gpu['memorySlots']}"
    if spare["creatable"]:
        choices = " or ".join(f"{count}\u00a0×\u00a0{name}" for name, count in spare["creatable"].items())
        for line in textwrap.wrap(f"still creatable: {choices}", width - 2, subsequent_indent=" " * 17):
            yield "  " + line.replace("\u00a0", " ")
    if gpu["instances"]:
        yield ""
        yield f"  {'profile':<12}{'id':>3}  {'start:size':<11}{'SM':>4}  resource under mixed"
        for instance in gpu["instances"]:
            place = f"{instance['start']}:{instance['size']}"
            row = f"{instance['profile']:<12}{instance['id']:>3}  {place:<11}{instance['multiprocessors']:>4}"
            yield f"  {row}  {instance['resource']}"
        yield f"  by hand: {words.by_hand(alike)}"


def _painted(text: str, room: int, compute: int, *, colour: bool) -> str:
    # A name that is longer than its cell is shortened; the table below has the whole of it.
    cell = (text if len(text) <= room else re.sub(r"\.\w+", "", text)[:room]).center(room)
    return colours.on(compute, cell) if colour and compute else cell


def _facts(node: dict[str, Any], width: int) -> Iterator[str]:
    for title, lines in words.facts(node):
        for number, line in enumerate(lines):
            first = f"  {'' if number else title:<13} "
            if title == "pods":  # alone are sentences; what is longer than a line elsewhere is a name
                yield from textwrap.wrap(
                    line, width, initial_indent=first, subsequent_indent=" " * 18, break_on_hyphens=False
                )
            else:
                yield first + line


def _cells(gpu: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(text, slots, compute slices) from the left; a free slot is a cell of its own with 0 compute slices."""
    starts = {instance["start"]: instance for instance in gpu["instances"]}
    cells, slot = [], 0
    while slot < gpu["memorySlots"]:
        if slot in starts:
            instance = starts[slot]
            cells.append((instance["profile"], instance["size"], instance["computeSlices"]))
            slot += instance["size"]
        else:
            cells.append(("·", 1, 0))
            slot += 1
    return cells
