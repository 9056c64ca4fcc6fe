"""`boot`: what mig-k8s-instances.service does before RKE2 starts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from calls import call
from gpus import SEVEN, TUTORIAL, Gpus, gpu_layout, layout

from machine.documents.layout import GpuLayout

Make = Callable[..., Gpus]


def apply(gpus: Gpus, *wanted: GpuLayout) -> int:
    return call(gpus.machine, "apply", stdin=layout(*wanted)).status


@pytest.mark.parametrize("model", ["A100-80GB", "H100-80GB"])
def test_every_boot_makes_the_same_instances_again(gpus: Make, model: str) -> None:
    gpu = gpus(model)
    gpu.enable()
    assert apply(gpu, TUTORIAL) == 0
    before = gpu.state()
    gpu.reboot()
    assert gpu.places() == []
    ended = call(gpu.machine, "boot")
    assert ended.status == 0, ended.stderr
    assert gpu.state() == before


def test_a_failed_layout_is_not_remembered(a100: Gpus) -> None:
    apply(a100, TUTORIAL)
    assert apply(a100, gpu_layout("3g.41gb:0")) == 1
    a100.reboot()
    call(a100.machine, "boot")
    assert a100.places() == ["14:0", "19:2", "9:4"]


def test_a_boot_does_what_it_can_on_each_gpu(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    two.machine.desire(mig={"mode": [True, True]})
    apply(two, TUTORIAL, GpuLayout(1, mode=True, instances=SEVEN.instances))
    two.reboot()
    two.faults(off_the_bus=[1])
    ended = call(two.machine, "boot")
    assert ended.status == 1
    assert "GPU 1  failed: GPU 1 does not tell its MIG mode" in ended.stderr
    assert two.places(0) == ["14:0", "19:2", "9:4"]


def test_a_machine_that_was_never_given_a_layout_boots_without_one(a100: Gpus) -> None:
    ended = call(a100.machine, "boot")
    assert (ended.status, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("mig", [None, {"mode": [False]}, {"mode": []}])
def test_a_boot_does_not_touch_a_gpu_that_shall_be_something_newer(a100: Gpus, mig: dict[str, Any] | None) -> None:
    apply(a100, TUTORIAL)
    a100.machine.desire(mig=mig)
    a100.reboot()
    ended = call(a100.machine, "boot")
    assert ended.status == 0
    assert ended.stderr.startswith("GPU 0  not touched: the desired state wants something newer than the remembered")
    assert a100.places() == []


def test_the_layout_that_an_older_release_remembered_is_made(a100: Gpus) -> None:
    instances = [{"profile": "3g.40gb", "start": 4}]
    gpus = [{"index": 0, "mode": True, "instances": instances}]
    a100.machine.write("etc/mig-k8s/layout.json", json.dumps({"version": 1, "gpus": gpus, "onChange": "drain"}))
    assert call(a100.machine, "boot").status == 0
    assert a100.places() == ["9:4"]


def test_a_remembered_layout_that_is_not_understood_is_told_with_the_way_out(a100: Gpus) -> None:
    path = a100.machine.write("etc/mig-k8s/layout.json", "{")
    ended = call(a100.machine, "boot")
    assert (ended.status, ended.stderr) == (
        2,
        f"mig-k8s: {path}: the layout is not JSON. `pulumi up` writes it again\n",
    )


def test_a_boot_starts_what_was_left_paused(a100: Gpus) -> None:
    a100.machine.write("var/lib/mig-k8s/paused", "nvidia-dcgm.service")
    assert call(a100.machine, "boot").status == 0
    assert a100.machine.systemd.active == ["nvidia-dcgm.service"]
