"""A plan drawn for a terminal: every GPU slice by slice, and what the cluster will show."""

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from plan.report.colours import colour as colour_of
from plan.report.summary import creation_command
from plan.yaml_text import yaml_text

WIDTH = 100
_SLOT = 9
"""Columns of one memory slot, where the terminal is wide enough for all slots of the GPU."""


def draw(plan: dict[str, Any], *, colour: bool, width: int = WIDTH) -> str:
    """The plan of `plan.report.summary.summary`, at most `width` columns wide, 80 or more; commands may be longer."""
    return "\n".join(_lines(plan, colour=colour, width=width)) + "\n"


def _lines(plan: dict[str, Any], *, colour: bool, width: int) -> Iterator[str]:
    def bold(text: str) -> str:
        return f"\033[1m{text}\033[0m" if colour else text

    mig, operator = plan["mig"], plan["gpuOperator"]
    count = len(plan["nodes"])
    machines = "1 machine" if count == 1 else f"{count} machines"
    owner = "mig-apply over SSH" if mig["owner"] == "host" else "MIG Manager"
    yield f"{machines} in {plan['location']}, strategy {mig['strategy']}, MIG instances by {owner}"
    admins = ", ".join(plan["network"]["adminCidrs"])
    yield from textwrap.wrap(f"SSH and the Kubernetes API from {admins}", width, subsequent_indent="  ")
    for _, group in groupby(plan["nodes"], key=_kind):
        alike = list(group)
        node = alike[0]
        names = node["name"] if len(alike) == 1 else f"{node['name']} … {alike[-1]['name']} ({len(alike)} alike)"
        yield ""
        yield f"{bold(names)}  {node['role']}, {node['vmSize']}"
        for _, equals in groupby(node["gpus"], key=lambda gpu: (gpu["mode"], gpu["instances"])):
            yield ""
            yield from _gpus(list(equals), colour=colour, width=width)
        yield ""
        yield from _expectations(node, width)
    yield ""
    yield bold(f"GPU Operator {operator['version']}") + f"  {operator['repository'] or operator['chart']}"
    yield from ("  " + line for line in yaml_text(operator["values"]).splitlines())
    for path, reason in operator["reasons"].items():
        yield from textwrap.wrap(f"{path}: {reason}", width, initial_indent="  # ", subsequent_indent="  # ")
    for number, warning in enumerate(plan["warnings"]):
        yield from ("", bold("Warnings")) if not number else ()
        for indent, text in (
            (2, f"{warning['path']}: {warning['value']}"),
            (4, warning["what"]),
            (4, warning["remedy"]),
        ):
            yield from textwrap.wrap(
                text, width, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
            )
    yield ""
    yield bold("Only Azure knows")
    for command, group in groupby(sorted(plan["askAzure"], key=itemgetter("command")), key=itemgetter("command")):
        for each in group:
            yield from textwrap.wrap(
                each["question"], width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
            )
        yield f"    {command}"


def _kind(node: dict[str, Any]) -> tuple[object, ...]:
    return node["role"], node["vmSize"], node["gpus"], node["labels"]


def _gpus(alike: list[dict[str, Any]], *, colour: bool, width: int) -> Iterator[str]:
    gpu = alike[0]
    mode = "MIG on" if gpu["mode"] else "MIG off: whole GPUs" if len(alike) > 1 else "MIG off: a whole GPU"
    numbers = f"GPU {gpu['index']}" if len(alike) == 1 else f"GPUs {gpu['index']} to {alike[-1]['index']}, each"
    yield f"  {numbers}  {gpu['model']}  {mode}"
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
        indices = ",".join(str(each["index"]) for each in alike)
        yield f"  by hand: {creation_command(indices, gpu['instances'])}"


def _painted(text: str, room: int, compute: int, *, colour: bool) -> str:
    # A name that is longer than its cell is shortened; the table below has the whole of it.
    cell = (text if len(text) <= room else re.sub(r"\.\w+", "", text)[:room]).center(room)
    return f"\033[30;{colour_of(compute).ansi}m{cell}\033[0m" if colour and compute else cell


def _expectations(node: dict[str, Any], width: int) -> Iterator[str]:
    yield f"  user-data     {node['userDataBytes']:,} of {node['userDataLimitBytes']:,} bytes"
    yield f"  reboots       {_REBOOTS[node['reboots']]}"
    if node["fabricManager"]:
        yield "  fabric        NVSwitch: Fabric Manager starts before MIG instances and RKE2"
    for title, pairs in (("allocatable", node["allocatable"]), ("labels", node["labels"])):
        for number, (key, value) in enumerate(pairs.items()):
            yield f"  {'' if number else title:<13} {key}: {value}"
    pods: dict[tuple[str | None, bool], list[str]] = {}
    for pod in node["pods"]:
        pods.setdefault((pod["profile"], pod["compute"]), []).append(pod["name"])
    for number, ((profile, computes), names) in enumerate(pods.items()):
        last = names[-1].rpartition("-")[2]
        who = f"{names[0]} sees" if len(names) == 1 else f"{names[0]} to -{last}, each sees"
        text = f"{who} {profile or 'the whole GPU'}" + ("" if computes else " (visible, but CUDA cannot run on it)")
        title = f"  {'' if number else 'pods':<13} "
        yield from textwrap.wrap(text, width, initial_indent=title, subsequent_indent=" " * 18, break_on_hyphens=False)


_REBOOTS = {0: "none", 1: "one at birth: this GPU changes its MIG mode on a reboot"}


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
