"""A sandbox with a network profile: what a machine downloads takes its time, and so do its boots."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from administrator import Boot, Machine

from sandbox import distance, supplies
from sandbox.distance import Profile
from sandbox.faults import fault
from sandbox.faults import machine as fault_machine
from sandbox.host import machine as machines
from sandbox.instance import Sandbox
from sandbox.mirror import registry
from sandbox.mirror.downloads import downloads
from sandbox.mirror.server import Mirror
from sandbox.process import ProcessId
from sandbox.virtualenv import CHECKOUT

pytestmark = pytest.mark.sandbox

TINY = Profile(name="tiny", rate=20e6, latency=0.1, machine=4, reboot=8)
"""RKE2's tarball, 40 MB in the world, takes 2 s."""
TARBALL = "rke2/v0/rke2.linux-amd64.tar.gz"


@pytest.fixture(scope="module")
def far(boot: Boot, mirror: Mirror) -> Iterator[tuple[Machine, float]]:
    """A machine, and how long the cloud took for it."""
    (mirror.root / TARBALL).parent.mkdir(parents=True, exist_ok=True)
    (mirror.root / TARBALL).write_bytes(bytes(range(256)) * 4000)
    distance.put(mirror.sandbox.root, TINY)
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:  # a cloud may take longer than a machine may for its start
        patch.setattr(machines, "_START_SECONDS", 3.5)
        booted = boot(number=19)
    seconds = time.monotonic() - began
    booted.wait_for_cloud_init()
    yield booted, seconds
    distance.put(mirror.sandbox.root, distance.NONE)


def test_the_cloud_takes_its_time_for_a_machine(far: tuple[Machine, float]) -> None:
    assert 4 <= far[1] < 15


def test_a_machines_download_takes_the_time_of_the_real_file(far: tuple[Machine, float]) -> None:
    one, url = far[0], f"http://{far[0].sandbox.mirror_address}/{TARBALL}"
    seconds = float(one.run(f"curl -sSf -o /tmp/whole -w '%{{time_total}}' {url}"))
    assert 2.1 <= seconds < 4
    assert one.run("stat -c %s /tmp/whole") == "1024000"


def test_a_download_that_is_ended_half_way_has_half_and_is_resumed(far: tuple[Machine, float]) -> None:
    one, url = far[0], f"http://{far[0].sandbox.mirror_address}/{TARBALL}"
    one.run(f"curl -sS --max-time 1.1 -o /tmp/half {url}", check=False)
    assert 200_000 < int(one.run("stat -c %s /tmp/half")) < 800_000
    said = one.run(f"curl -sSf -C - -o /tmp/half -w '%{{http_code}} %{{time_total}}' {url}").split()
    assert said[0] == "206"
    assert 0.4 < float(said[1]) < 2.1
    assert one.run("sha256sum </tmp/half") == one.run("sha256sum </tmp/whole")


def test_what_was_fetched_is_noted_by_machine_with_its_time_and_what_came_at_once_is_not(
    far: tuple[Machine, float],
) -> None:
    one = far[0]
    names = {one.spec.public_address: "mlops-k8s-master"}
    before = len(downloads(one.sandbox, names))
    one.run(f"curl -sSf -o /tmp/whole http://{one.sandbox.mirror_address}/{TARBALL}")
    (noted,) = downloads(one.sandbox, names)[before:]
    assert (noted.lane, noted.name) == ("mlops-k8s-master", "get rke2.linux-amd64.tar.gz")
    assert 1.9 < noted.seconds < 2.1
    distance.put(one.sandbox.root, distance.NONE)
    one.run(f"curl -sSf -o /tmp/whole http://{one.sandbox.mirror_address}/{TARBALL}")
    distance.put(one.sandbox.root, TINY)
    assert len(downloads(one.sandbox, names)) == before + 1


def goes_down(one: Machine) -> None:
    """Reboot it and wait until it is down."""
    console = one.directory / "console.log"
    before = console.read_text(errors="replace").splitlines().count("reboot")
    machines.reboot(one.sandbox, one.spec.vm_id)
    while console.read_text(errors="replace").splitlines().count("reboot") == before:
        time.sleep(0.05)


def test_a_reboot_takes_its_time(far: tuple[Machine, float]) -> None:
    one = far[0]
    before = one.boot_id()
    goes_down(one)
    began = time.monotonic()
    one.wait_for_reboot(before)
    assert 8 <= time.monotonic() - began < 30


def test_a_fault_waits_for_a_machine_that_is_down(far: tuple[Machine, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_machine, "_BOOT_SECONDS", 4)
    goes_down(far[0])
    for on in (True, False):
        fault.switch(far[0].sandbox, "slow-boot", on=on)


def test_a_machine_is_ended_while_it_is_down_and_boots_though_who_started_it_is_gone(
    far: tuple[Machine, float], tmp_path: Path
) -> None:
    one = far[0]
    goes_down(one)
    began = time.monotonic()
    machines.power_off(one.sandbox, one.spec.vm_id)
    assert time.monotonic() - began < 4
    (tmp_path / "asked").write_bytes(pickle.dumps((one.sandbox, one.spec)))
    starts = (
        "import pickle, sys; from pathlib import Path; from sandbox.host import machine;"
        " machine.start(*pickle.loads(Path(sys.argv[1]).read_bytes()))"
    )
    with subprocess.Popen([sys.executable, "-c", starts, str(tmp_path / "asked")], cwd=CHECKOUT) as asks:
        while ProcessId.read(one.directory / "supervisor.pid") is None:
            time.sleep(0.05)
        asks.kill()
    assert ProcessId.read(one.directory / "leader.pid") is None, "it boots already: there is nothing to test"
    assert one.run("hostname") == "mlops-k8s-master"


def test_everything_that_the_mirror_has_for_the_default_stack_has_a_real_size(tmp_path: Path) -> None:
    sandbox = Sandbox(name="table", root=tmp_path, network="10.99.199")
    supplies.publish(sandbox, CHECKOUT / "Pulumi.dev.yaml", older_program=True)
    tree, unknown = Mirror(sandbox).root, []
    for folder, _, names in os.walk(tree, followlinks=True):
        for file in (Path(folder) / name for name in names if not folder.endswith("/manifests")):
            image = registry.stands_for(file) if folder.endswith("/blobs") else None
            if image != "" and distance.real(image or f"/{file.relative_to(tree)}") is None:
                unknown.append(str(file))
    assert unknown == []
