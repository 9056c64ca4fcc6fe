"""nvidia-smi of this machine: run with a bound, and each of its answers read in one place.

Its exit code says too little to be used, and a warning may stand beside an answer, on either stream: `WARNING: infoROM
is corrupted at gpu 0001:00:00.0`. So the readers look for the lines they know, and leave all others to messages.
Why it is asked and not the driver's library, and which form each fact is read from: docs/adr/0039.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from machine.host import signals
from machine.host.console import one_line
from machine.host.errors import GpuError
from machine.host.program import HUNG, MISSING
from machine.host.this_machine import ThisMachine

SECONDS = 120
"""How long one call may take; a GPU that hangs never answers."""
_NONE_FOUND = ("No GPU instances found", "No compute instances found", "No MIG")
_TITLES = {"-lgip": "GPU instance profiles:", "-lgi": "GPU instances:", "-lci": "Compute instances:"}


class NoNvidiaSmiError(GpuError):
    """There is no nvidia-smi, so no driver has been installed yet."""


@dataclass(frozen=True)
class ListedDevice:
    """A MIG device of `nvidia-smi -L`: its profile, its number on the GPU, its UUID."""

    profile: str
    number: int
    uuid: str


@dataclass(frozen=True)
class ListedGpu:
    """A GPU of `nvidia-smi -L`."""

    index: int
    uuid: str
    devices: tuple[ListedDevice, ...]


@dataclass(frozen=True)
class MigMode:
    """The MIG mode of a GPU in nvidia-smi's words: Enabled, Disabled, or [N/A] for a GPU that cannot be divided."""

    uuid: str
    current: str
    pending: str


def listed_gpus(text: str) -> tuple[ListedGpu, ...]:
    """The GPUs that `nvidia-smi -L` lists, here or in a pod; nothing where `text` is not its answer."""
    found: list[tuple[int, str, list[ListedDevice]]] = []
    for line in text.splitlines():
        if gpu := re.match(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)", line):
            found.append((int(gpu[1]), gpu[2], []))
        elif found and (device := re.match(r" +MIG (\S+) +Device +(\d+): \(UUID: (MIG-[^)]+)\)", line)):
            found[-1][2].append(ListedDevice(device[1], int(device[2]), device[3]))
    return tuple(ListedGpu(index, uuid, tuple(devices)) for index, uuid, devices in found)


def warnings_in(text: str) -> tuple[str, ...]:
    """The lines in which nvidia-smi warns beside an answer, each once."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line.startswith("WARNING:")))


@dataclass(frozen=True)
class NvidiaSmi:
    """nvidia-smi of a machine; a call that takes longer than `seconds` is a hang. `warned`: its warnings so far."""

    machine: ThisMachine
    seconds: float = SECONDS
    warned: dict[str, None] = field(default_factory=dict, compare=False)

    def say(self, *arguments: str) -> str:
        """Run it and return all that it prints, errors included. Raises GpuError on a hang and where it is missing."""
        with signals.put_off():
            ended = self.machine.run("nvidia-smi", *arguments, seconds=self.seconds)
        if ended.status == HUNG:
            raise GpuError(f"`{ended}` did not answer within {self.seconds:.0f} s; see dmesg for Xid")
        if ended.status == MISSING:
            raise NoNvidiaSmiError("there is no nvidia-smi: the driver stage installs it, see `sudo mig-k8s status`")
        said = f"{ended.stdout.rstrip()}\n{ended.stderr}".lstrip("\n")
        self.warned.update(dict.fromkeys(warnings_in(said)))
        return said

    def listed(self) -> tuple[ListedGpu, ...]:
        """All GPUs that answer, with their MIG devices."""
        return listed_gpus(self.say("-L"))

    def modes(self) -> dict[int, MigMode]:
        """The MIG mode of all GPUs that answer, by index."""
        return _modes(self.say("--query-gpu=index,uuid,mig.mode.current,mig.mode.pending", "--format=csv,noheader"))

    def mode(self, index: int) -> MigMode:
        """The MIG mode of one GPU. Raises GpuError when it does not tell."""
        query = ("--query-gpu=index,uuid,mig.mode.current,mig.mode.pending", "--format=csv,noheader")
        text = self.say("-i", str(index), *query)
        mode = _modes(text).get(index)
        if mode is None:
            raise GpuError(f"GPU {index} does not tell its MIG mode: {one_line(text)}. See `lspci -d 10de:` and dmesg")
        return mode

    def table(self, index: int, option: str) -> list[list[str]]:
        """The cells of the rows that `nvidia-smi mig -lgip`, `-lgi` or `-lci` has for a GPU. Raises GpuError."""
        text = self.say("mig", "-i", str(index), option)
        none_found = any(line.startswith(_NONE_FOUND) for line in text.splitlines())
        if _TITLES[option] not in text and not none_found:
            raise GpuError(f"`nvidia-smi mig -i {index} {option}` says: {one_line(text)}")
        return [cells for cells in _rows(text) if "MIG" in cells and cells[0] == str(index)]

    def placements(self, index: int) -> Mapping[int, tuple[tuple[int, ...], int]]:
        """Profile id -> the memory slices where an instance may start, and how many it takes. Raises GpuError."""
        text = self.say("mig", "-i", str(index), "-lgipp")
        pattern = r"^GPU +(\d+) +Profile ID +(\d+) +Placements? *: *\{([\d,]*)\}:(\d+)"
        found = {
            int(number): (tuple(int(start) for start in starts.split(",") if start), int(size))
            for gpu, number, starts, size in re.findall(pattern, text, re.MULTILINE)
            if int(gpu) == index
        }
        if not found:
            raise GpuError(f"GPU {index} lists no placements: {one_line(text)}")
        return found

    def device_numbers(self, index: int, uuid: str) -> dict[int, list[int]]:
        """GPU instance id -> numbers of its MIG devices, by the XML of `nvidia-smi -q -x`; without those it leaves out.

        A number that two devices have means neither.
        """
        elements = _mig_devices(self.say("-i", str(index), "-q", "-x"), uuid)
        texts = [(element.findtext("gpu_instance_id", ""), element.findtext("index", "")) for element in elements]
        told = [(int(instance), int(number)) for instance, number in texts if instance.isdigit() and number.isdigit()]
        times = Counter(number for _, number in told)
        numbers: dict[int, list[int]] = {}
        for instance, number in told:
            if times[number] == 1:
                numbers.setdefault(instance, []).append(number)
        return numbers


def _rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, split at white space: the widths of the columns change with the driver."""
    return [line.strip("|").split() for line in text.splitlines() if line.startswith("|") and line.strip("|").split()]


def _modes(text: str) -> dict[int, MigMode]:
    rows = re.findall(r"^(\d+), *(GPU-[^,\s]+), *([^,\s]+), *([^,\s]+) *$", text, re.MULTILINE)
    return {int(index): MigMode(*words) for index, *words in rows}


def _mig_devices(text: str, uuid: str) -> list[ET.Element]:
    """The MIG devices of a GPU in the answer to `nvidia-smi -q -x`; none where it is not such an answer.

    Only they are parsed: warnings stand around the document, and it is not well-formed everywhere. Names of
    processes have been seen in it that are not text, and clocks whose elements do not close.
    """
    for gpu in re.findall(r"<gpu id=.*?</gpu>", text, re.DOTALL):
        devices = re.search(r"<mig_devices>.*?</mig_devices>", gpu, re.DOTALL)
        if devices and f"<uuid>{uuid}</uuid>" in gpu:
            try:
                return ET.fromstring(devices[0]).findall("mig_device")  # noqa: S314 - no document type
            except ET.ParseError:
                return []
    return []
