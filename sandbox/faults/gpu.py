"""Faults of GPU and driver: keys of hardware/faults.json, which the GPU stand-in reads at every call."""

import json
from pathlib import Path

ABOUT = {
    "driver-does-not-load": "the kernel module finds no GPU it knows",
    "driver-mismatch": "nvidia-smi and the kernel module are of different versions, whatever is rebooted",
    "fabric-not-ready": "GPUs with NVSwitch never join the fabric, although Fabric Manager runs",
    "mode-stays-pending": "MIG mode is accepted and not taken up, whatever is rebooted",
    "cgi-fails": "the second GPU instance that is asked for is refused, once",
    "cgi-claims-success": "nvidia-smi says that it made GPU instances and makes none",
    "smi-hangs": "nvidia-smi never ends",
    "gpu-off-bus": "the GPU does not answer any more",
    "foreign-instances": "somebody else makes a 1g.20gb at slice 6 when MIG mode comes on and at every boot",
}
KEYS: dict[str, dict[str, object]] = {
    "driver-does-not-load": {"driver_does_not_load": True},
    "driver-mismatch": {"driver_mismatch": True},
    "fabric-not-ready": {"fabric_not_ready": True},
    "mode-stays-pending": {"mode_stays_pending": True},
    "cgi-fails": {"cgi_fails_at": 2},
    "cgi-claims-success": {"cgi_claims_success": True},
    "smi-hangs": {"hang": " "},
    "gpu-off-bus": {"off_the_bus": [0]},
    "foreign-instances": {"foreign": [{"gpu": 0, "profile": "1g.20gb", "start": 6}]},
}
"""What is written for each fault: fields of `Faults` in sandbox/gpu/driver/hardware.go."""


def write(hardware: Path, names: set[str]) -> None:
    """faults.json of a machine with these faults; none without any, as on real hardware."""
    wanted = {key: value for name in sorted(names & set(KEYS)) for key, value in KEYS[name].items()}
    file = hardware / "faults.json"
    if not wanted:
        file.unlink(missing_ok=True)
    elif not file.exists() or json.loads(file.read_text()) != wanted:  # a new file starts the counting anew
        draft = file.with_name("faults.json.new")
        draft.write_text(json.dumps(wanted) + "\n")
        draft.replace(file)
