"""The driver stage on machines whose archive is as Ubuntu's: modules as they were built, userland in one version."""

import shutil
import subprocess
from pathlib import Path

import pytest
from a_machine import AMachine
from install_stages import CLOUD_INIT, for_stages, run
from packages_on_machine import install, installed, offer, packages

KERNEL, NEXT_KERNEL = "6.8.0-1073-azure", "7.0.0-1020-azure"
VERSION, OLDER = "580.178.04", "580.173.02"
UBUNTU_VERSION = "580.178.04-0ubuntu0.24.04.1"
DRIVER = {
    "DRIVER_SOURCE": "ubuntu",
    "DRIVER_BRANCH": "580",
    "DRIVER_OPEN_KERNEL_MODULES": "0",
    "DRIVER_UPDATE": "",
}
OPEN = {**DRIVER, "DRIVER_OPEN_KERNEL_MODULES": "1"}
FLAVOURS = {"580-server": "580-server-open", "580-server-open": "580-server"}
UTILS, HEADLESS = "nvidia-utils-580-server", "nvidia-headless-no-dkms-580-server"

MODPROBE = """
    [ ! -f "$STATE/loaded" ] || exit 0
    for package in "$STATE"/installed/linux-modules-nvidia-580-server*-$(uname -r); do
      [ -f "$package" ] || { echo "modprobe: FATAL: Module nvidia not found" >&2; exit 1; }
      mkdir -p "$MIG_K8S_ROOT/proc/driver/nvidia"
      mapfile -t field <"$package"
      [[ ${field[1]} =~ .*server' (>= '([0-9.]*) ]]
      echo "${BASH_REMATCH[1]}" >"$STATE/loaded"
      case $package in
        *-open-*) says="NVIDIA UNIX Open Kernel Module for x86_64  ${BASH_REMATCH[1]}  Release Build" ;;
        *) says="NVIDIA UNIX x86_64 Kernel Module  ${BASH_REMATCH[1]}" ;;
      esac
      echo "NVRM version: $says" >"$MIG_K8S_ROOT/proc/driver/nvidia/version"
    done
"""
"""It loads what is installed for the running kernel, whatever its version; a loaded module stays."""
NVIDIA_SMI = """
    loaded='' library='' utils=$STATE/installed/nvidia-utils-580-server
    [ ! -f "$STATE/loaded" ] || read -r loaded <"$STATE/loaded"
    [ ! -f "$utils" ] || read -r library <"$utils"
    library=${library%%-*}
    if [ -z "$loaded" ]; then
      echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9
    elif [ -n "$library" ] && [ "$library" != "$loaded" ]; then
      echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18
    fi
    echo "$loaded"
"""


def offer_modules(machine: AMachine, flavour: str, kernel: str, version: str) -> None:
    """A module package as in Ubuntu's index; the open one also has an upper bound."""
    common = "nvidia-kernel-common-580-server"
    bounds = f"{common} (<= {version}-1), {common} (>= {version})" if "open" in flavour else f"{common} (>= {version})"
    offer(
        machine,
        f"linux-modules-nvidia-{flavour}-{kernel}",
        f"{kernel.removesuffix('-azure')}.1+1",
        f"linux-image-{kernel} | linux-image-unsigned-{kernel}, {bounds}",
        f"linux-modules-nvidia-{FLAVOURS[flavour]}-{kernel}",
    )
    offer(machine, f"linux-image-{kernel}", f"{kernel.removesuffix('-azure')}.1")


def offer_metapackage(machine: AMachine, flavour: str, kernel: str, version: str) -> None:
    """The flavour's metapackage, which names the newest kernel's modules."""
    offer_modules(machine, flavour, kernel, version)
    modules = f"linux-modules-nvidia-{flavour}-{kernel} (= {kernel.removesuffix('-azure')}.1+1)"
    offer(machine, f"linux-modules-nvidia-{flavour}-azure", "7.0.0-1020.20", modules)


def offer_userland(machine: AMachine, version: str) -> None:
    for name in (UTILS, HEADLESS, f"{HEADLESS}-open"):
        offer(machine, name, version, "", f"{HEADLESS}-open" if name == HEADLESS else "")


def boot(machine: AMachine, kernel: str) -> None:
    """A boot into this kernel: no module is loaded until modprobe."""
    (machine.state / "loaded").unlink(missing_ok=True)
    shutil.rmtree(machine.root / "proc/driver", ignore_errors=True)
    machine.program("uname", f"echo {kernel}")


def gpu_machine_of(real_stages: AMachine) -> AMachine:
    """A machine with all that its driver stage calls.

    Its archive has modules of the userland's version for its kernel, and newer kernels besides.
    """
    packages(real_stages)
    offer_userland(real_stages, UBUNTU_VERSION)
    for flavour in FLAVOURS:
        offer_modules(real_stages, flavour, KERNEL, VERSION)
        offer_metapackage(real_stages, flavour, NEXT_KERNEL, VERSION)
    real_stages.program("uname", f"echo {KERNEL}")
    real_stages.program("modprobe", MODPROBE)
    real_stages.program("modinfo", "echo Canonical Ltd. Kernel Module Signing")
    real_stages.program("mokutil", "echo SecureBoot enabled")
    real_stages.program("nvidia-smi", NVIDIA_SMI)
    pods_may_end(real_stages)
    return real_stages


@pytest.fixture
def gpu_machine(real_stages: AMachine) -> AMachine:
    """A machine with Ubuntu's archive and no driver yet."""
    return gpu_machine_of(real_stages)


@pytest.fixture(scope="module")
def with_a_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `driver_machine`, to be copied."""
    made = gpu_machine_of(for_stages(tmp_path_factory.mktemp("driver")))
    code, last, ended = run(made, "driver", **DRIVER)
    assert (code, last) == (0, "done nvidia 580.178.04"), ended.stderr
    made.forget_calls()
    return made.folder


@pytest.fixture
def driver_machine(tmp_path: Path, with_a_driver: Path) -> AMachine:
    """A machine whose driver the stage has installed and loaded; no call is remembered."""
    shutil.copytree(with_a_driver, tmp_path, dirs_exist_ok=True)
    return AMachine.below(tmp_path)


def pods_may_end(machine: AMachine, says: str = "") -> None:
    """What `before-reboot` says; nothing: they may. Each question is a line of `calls`, what it says comes last."""
    refuses = f'echo looks; echo "{says}"; exit 1' if says else ""
    machine.write("usr/bin/python3", f'#!/bin/sh\necho "$4 $5" >>"$STATE/calls"\n{refuses}\n', 0o755)


PODS = "gpu must reboot for its driver, and pods run on it: work/train-0"


@pytest.mark.parametrize("then", [OPEN, DRIVER])
def test_pods_are_asked_before_a_loaded_driver_is_touched(driver_machine: AMachine, then: dict[str, str]) -> None:
    before = installed(driver_machine)
    offer_userland(driver_machine, "580.200.01-0ubuntu0.24.04.1")
    for flavour in FLAVOURS:
        offer_modules(driver_machine, flavour, KERNEL, "580.200.01")
    (driver_machine.state / "installed" / UTILS).unlink()  # so that there is something to install
    pods_may_end(driver_machine, f"mig-k8s: {PODS}")
    code, last, _ = run(driver_machine, "driver", **then)
    assert (code, last) == (1, f"failed {PODS}")
    assert driver_machine.calls("apt-get install") == []
    assert set(before) - set(installed(driver_machine)) == {UTILS}


def test_pods_are_only_asked_and_whoever_reboots_ends_them(driver_machine: AMachine) -> None:
    assert run(driver_machine, "driver", **OPEN)[1].startswith("reboot the kernel runs the proprietary nvidia module")
    assert [call for call in driver_machine.calls() if call.startswith("before-reboot")] == ["before-reboot "]


NEWEST = "580.200.01"


def offer_newest(machine: AMachine, kernel: str) -> None:
    """Ubuntu has published another driver of the branch, with modules for this kernel."""
    offer_userland(machine, f"{NEWEST}-0ubuntu0.24.04.1")
    for flavour in FLAVOURS:
        if kernel == KERNEL:
            offer_modules(machine, flavour, KERNEL, NEWEST)
        offer_metapackage(machine, flavour, NEXT_KERNEL, NEWEST)


@pytest.mark.parametrize("kernel", [KERNEL, NEXT_KERNEL])
def test_a_new_text_takes_the_newest_driver_of_the_branch_with_its_kernel_and_an_old_one_does_not(
    driver_machine: AMachine, kernel: str
) -> None:
    offer_newest(driver_machine, kernel)
    assert run(driver_machine, "driver", **DRIVER)[1] == "unchanged nvidia 580.178.04"
    november = {**DRIVER, "DRIVER_UPDATE": "November"}
    pods_may_end(driver_machine, f"mig-k8s: {PODS}")
    assert run(driver_machine, "driver", **november)[1] == f"failed {PODS}"
    assert driver_machine.calls("apt-get install") == []
    pods_may_end(driver_machine)
    assert run(driver_machine, "driver", **november)[1].startswith("reboot ")
    assert installed(driver_machine)[UTILS] == f"{NEWEST}-0ubuntu0.24.04.1"
    boot(driver_machine, kernel)
    assert run(driver_machine, "driver", **november)[1] == f"done nvidia {NEWEST}"
    driver_machine.forget_calls()
    assert run(driver_machine, "driver", **november)[1] == f"unchanged nvidia {NEWEST}"
    assert run(driver_machine, "driver", **DRIVER)[1] == f"unchanged nvidia {NEWEST}"  # the text may be taken away
    assert driver_machine.calls("apt-get") == []


def test_a_new_text_where_apt_has_nothing_newer_changes_and_reboots_nothing(driver_machine: AMachine) -> None:
    pods_may_end(driver_machine, f"mig-k8s: {PODS}")
    assert run(driver_machine, "driver", **{**DRIVER, "DRIVER_UPDATE": "November"})[1] == "done nvidia 580.178.04"
    assert driver_machine.calls("apt-get install") == []
    assert run(driver_machine, "driver", **{**DRIVER, "DRIVER_UPDATE": "November"})[1] == "unchanged nvidia 580.178.04"


def test_a_machine_that_has_no_driver_yet_asks_nobody(gpu_machine: AMachine) -> None:
    pods_may_end(gpu_machine, f"mig-k8s: {PODS}")
    assert run(gpu_machine, "driver", **DRIVER)[1] == "done nvidia 580.178.04"


@pytest.fixture
def stale_machine(gpu_machine: AMachine) -> AMachine:
    """Its kernel's modules were built for an older driver than the userland that apt has."""
    for flavour in FLAVOURS:
        offer_modules(gpu_machine, flavour, KERNEL, OLDER)
    return gpu_machine


def test_the_driver_is_installed_by_exact_version_held_and_loaded(gpu_machine: AMachine) -> None:
    code, last, ended = run(gpu_machine, "driver", **DRIVER)
    assert (code, last) == (0, "done nvidia 580.178.04"), ended.stderr
    assert installed(gpu_machine) == {
        "linux-modules-nvidia-580-server-6.8.0-1073-azure": "6.8.0-1073.1+1",
        "linux-image-6.8.0-1073-azure": "6.8.0-1073.1",
        "nvidia-headless-no-dkms-580-server": UBUNTU_VERSION,
        "nvidia-utils-580-server": UBUNTU_VERSION,
    }
    (hold,) = gpu_machine.calls("apt-mark hold")
    assert set(hold.split()[2:]) == set(installed(gpu_machine)) - {"linux-image-6.8.0-1073-azure"}
    assert gpu_machine.read("etc/modules-load.d/mig-k8s-nvidia.conf") == "nvidia\n"


@pytest.mark.parametrize(
    ("kernel", "version", "chosen", "brings"),
    [
        # Ubuntu's index of 26 November 2026, 580-server at 580.178.04.
        ("6.8.0-1064-azure", "580.173.02", "linux-modules-nvidia-580-server-azure", "7.0.0-1020-azure"),
        ("6.17.0-1022-azure", "580.173.02", "linux-modules-nvidia-580-server-azure", "7.0.0-1020-azure"),
        ("6.8.0-1067-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1067-azure", ""),
        ("6.8.0-1068-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1068-azure", ""),
        ("6.8.0-1070-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1070-azure", ""),
        ("6.8.0-1071-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1071-azure", ""),
        ("6.8.0-1073-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1073-azure", ""),
        ("6.8.0-1074-azure", "580.178.04", "linux-modules-nvidia-580-server-6.8.0-1074-azure", ""),
        ("7.0.0-1008-azure", "580.178.04", "linux-modules-nvidia-580-server-7.0.0-1008-azure", ""),
        ("7.0.0-1020-azure", "580.178.04", "linux-modules-nvidia-580-server-7.0.0-1020-azure", ""),
    ],
)
@pytest.mark.parametrize("open_modules", [False, True])
def test_the_modules_of_the_running_kernel_are_chosen_only_if_they_are_of_the_userlands_version(
    gpu_machine: AMachine, kernel: str, version: str, chosen: str, brings: str, *, open_modules: bool
) -> None:
    flavour = "580-server-open" if open_modules else "580-server"
    offer_modules(gpu_machine, flavour, kernel, version)
    library = CLOUD_INIT / "library"
    sources = "".join(f"source {library}/{name}.sh; " for name in ("stage", "packages", "driver-packages"))
    asked = f'{sources}choose_modules 580 {flavour} {kernel} 580.178.04; echo "$modules:$next_kernel"'
    said = subprocess.run(
        ["bash", "-euc", asked], env=gpu_machine.environment, capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{chosen.replace('580-server', flavour)}:{brings}\n"


@pytest.mark.parametrize(("asked", "flavour"), [(DRIVER, "580-server"), (OPEN, "580-server-open")])
def test_modules_of_another_version_are_left_for_the_metapackages_kernel_and_one_reboot_said_before(
    stale_machine: AMachine, asked: dict[str, str], flavour: str
) -> None:
    code, last, ended = run(stale_machine, "driver", **asked)
    assert (code, last) == (
        0,
        "reboot the driver's modules are for kernel 7.0.0-1020-azure, not for the running 6.8.0-1073-azure",
    ), ended.stderr
    said = ended.stdout.splitlines()
    assert said[1:3] == [
        (
            "progress the modules for the running kernel 6.8.0-1073-azure are of 580.173.02, those of "
            f"linux-modules-nvidia-{flavour}-azure (kernel 7.0.0-1020-azure) of 580.178.04; the driver is 580.178.04: "
            "kernel 7.0.0-1020-azure comes with its modules, and then one reboot into it"
        ),
        "progress installing nvidia 580",
    ]
    assert f"linux-modules-nvidia-{flavour}-6.8.0-1073-azure" not in installed(stale_machine)
    assert stale_machine.calls("modprobe") == []
    boot(stale_machine, NEXT_KERNEL)
    assert run(stale_machine, "driver", **asked)[1] == "done nvidia 580.178.04"
    assert run(stale_machine, "driver", **asked)[1] == "unchanged nvidia 580.178.04"


def test_a_machine_that_boots_its_old_kernel_again_asks_again_and_loads_nothing(stale_machine: AMachine) -> None:
    run(stale_machine, "driver", **DRIVER)
    boot(stale_machine, KERNEL)
    assert run(stale_machine, "driver", **DRIVER)[1] == (
        "reboot the driver's modules are for kernel 7.0.0-1020-azure, not for the running 6.8.0-1073-azure"
    )
    assert stale_machine.calls("modprobe") == []


def test_a_mismatch_that_an_older_release_installed_gets_the_metapackages_kernel(stale_machine: AMachine) -> None:
    for name in (f"linux-modules-nvidia-580-server-{KERNEL}", UTILS, HEADLESS):
        stored = (stale_machine.state / "archive" / name).read_text(encoding="utf-8")
        (stale_machine.state / "installed" / name).write_text(stored, encoding="utf-8")
    boot(stale_machine, KERNEL)
    assert run(stale_machine, "driver", **DRIVER)[1].startswith("reboot the driver's modules are for kernel 7.0.0-1020")
    boot(stale_machine, NEXT_KERNEL)
    assert run(stale_machine, "driver", **DRIVER)[1] == "done nvidia 580.178.04"


def test_versions_of_which_no_pair_fits_are_named(stale_machine: AMachine) -> None:
    offer_metapackage(stale_machine, "580-server", NEXT_KERNEL, OLDER)
    code, last, _ = run(stale_machine, "driver", **DRIVER)
    assert code == 1
    assert last == (
        "failed no kernel modules of the driver's version: nvidia-utils-580-server is of 580.178.04, the modules for "
        "the running kernel 6.8.0-1073-azure are of 580.173.02, those of linux-modules-nvidia-580-server-azure (kernel "
        "7.0.0-1020-azure) of 580.173.02. Ubuntu publishes them some days apart: `pulumi up` later, or take another "
        "vm.image or driver.branch."
    )
    assert stale_machine.calls("apt-get install") == []


def test_a_kernel_without_module_package_gets_the_metapackage_and_one_reboot(gpu_machine: AMachine) -> None:
    (gpu_machine.state / "archive" / f"linux-modules-nvidia-580-server-{KERNEL}").unlink()
    code, last, ended = run(gpu_machine, "driver", **DRIVER)
    assert (code, last.split(" ")[0]) == (0, "reboot")
    assert "the modules for the running kernel 6.8.0-1073-azure are not there" in ended.stdout
    assert "linux-image-7.0.0-1020-azure" in installed(gpu_machine)


def test_held_kernels_do_not_block_the_metapackages_kernel(stale_machine: AMachine) -> None:
    install(stale_machine, "linux-image-azure", "6.8.0-1073.1")
    assert run(stale_machine, "driver", **DRIVER)[1].startswith("reboot ")
    (asked,) = stale_machine.calls("apt-get install")
    assert "--allow-change-held-packages" in asked
    assert "linux-image-azure" in stale_machine.calls("apt-mark hold")[0].split()


@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        (DRIVER, OPEN, "reboot the kernel runs the proprietary nvidia module, installed is the open one"),
        (OPEN, DRIVER, "reboot the kernel runs the open nvidia module, installed is the proprietary one"),
    ],
)
def test_the_loaded_module_is_of_the_asked_kind_and_not_only_its_package(
    gpu_machine: AMachine, first: dict[str, str], then: dict[str, str], sentence: str
) -> None:
    assert run(gpu_machine, "driver", **first)[1] == "done nvidia 580.178.04"
    for _ in range(2):
        assert run(gpu_machine, "driver", **then)[1] == sentence
    boot(gpu_machine, KERNEL)
    assert run(gpu_machine, "driver", **then)[1] == "done nvidia 580.178.04"


def test_a_branch_that_ubuntu_does_not_have_is_named(gpu_machine: AMachine) -> None:
    code, last, _ = run(gpu_machine, "driver", **{**DRIVER, "DRIVER_BRANCH": "515"})
    assert code == 1
    assert last == (
        "failed apt knows no nvidia-headless-no-dkms-515-server nvidia-utils-515-server for kernel 6.8.0-1073-azure. "
        "Is 515 a server branch of this Ubuntu (apt-cache search nvidia-headless-no-dkms)?"
    )


def test_an_installed_driver_that_works_is_left_alone(driver_machine: AMachine) -> None:
    assert run(driver_machine, "driver", **DRIVER)[1] == "unchanged nvidia 580.178.04"
    assert driver_machine.calls("apt-get") == []
    assert driver_machine.calls("modprobe") == []


def test_a_package_list_that_cannot_be_read_is_retried_and_then_told(gpu_machine: AMachine) -> None:
    (gpu_machine.state / "apt-update-fails").touch()
    code, last, ended = run(gpu_machine, "driver", **DRIVER)
    assert code == 1
    assert last.startswith("failed apt cannot read its package lists")
    assert len(gpu_machine.calls("apt-get update")) == 5
    assert "progress apt-get update failed (100), try 2 of 5 in 15 s" in ended.stdout


def test_a_module_that_does_not_load_fails_with_what_modprobe_said(gpu_machine: AMachine) -> None:
    gpu_machine.program("modprobe", "echo \"modprobe: ERROR: could not insert 'nvidia': No such device\" >&2; exit 1")
    code, last, _ = run(gpu_machine, "driver", **DRIVER)
    assert code == 1
    assert "could not insert 'nvidia': No such device" in last


def test_an_unsigned_module_under_secure_boot_is_refused_before_it_is_loaded(gpu_machine: AMachine) -> None:
    gpu_machine.program("modinfo", "")
    code, last, _ = run(gpu_machine, "driver", **DRIVER)
    assert code == 1
    assert last.startswith("failed Secure Boot is on and the nvidia module is not signed")
    assert gpu_machine.calls("modprobe") == []


def test_an_unsigned_module_without_secure_boot_is_fine(gpu_machine: AMachine) -> None:
    gpu_machine.program("modinfo", "")
    gpu_machine.program("mokutil", "echo SecureBoot disabled")
    assert run(gpu_machine, "driver", **DRIVER)[1] == "done nvidia 580.178.04"


def test_a_kernel_that_runs_another_driver_version_asks_for_a_reboot(gpu_machine: AMachine) -> None:
    gpu_machine.program("nvidia-smi", 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    code, last, _ = run(gpu_machine, "driver", **DRIVER)
    assert (code, last) == (0, "reboot the kernel runs another driver version than the one installed")


def test_an_nvidia_smi_that_hangs_is_ended_and_told(gpu_machine: AMachine) -> None:
    gpu_machine.program(
        "timeout", 'case "$*" in *nvidia-smi*) exit 124;; esac; shift; [ "$1" = 10 -o "$1" = 5 ] && shift 2; "$@"'
    )
    code, last, _ = run(gpu_machine, "driver", **DRIVER)
    assert code == 1
    assert "nvidia-smi said nothing within 120 s" in last


def test_an_image_that_brings_the_driver_is_only_looked_at(gpu_machine: AMachine) -> None:
    (gpu_machine.state / "loaded").write_text("580.178.04\n")
    assert (
        run(gpu_machine, "driver", **{**DRIVER, "DRIVER_SOURCE": "image"})[1]
        == "unchanged the image's nvidia 580.178.04"
    )
    assert gpu_machine.calls("apt-get") == []
    gpu_machine.program("modprobe", "exit 1")
    (gpu_machine.state / "loaded").unlink()
    code, last, _ = run(gpu_machine, "driver", **{**DRIVER, "DRIVER_SOURCE": "image"})
    assert code == 1
    assert last.startswith("failed driver.source is image, but the image's driver does not work: NVIDIA-SMI has failed")


def test_apt_that_finds_no_room_is_not_asked_again(gpu_machine: AMachine) -> None:
    words = "E: You don't have enough free space in /var/cache/apt/archives/."
    gpu_machine.program("apt-get", f'case "$*" in *install*) echo "{words}"; exit 100; esac')
    code, last, _ = run(gpu_machine, "driver", **DRIVER)
    assert code == 1
    assert last.endswith(": E: You don't have enough free space in /var/cache/apt/archives/. The next run tries again.")
    assert len(gpu_machine.calls("apt-get install")) == 1


@pytest.mark.parametrize(
    ("apt", "reported"),
    [
        ("echo 'E: Failed to fetch it'; exit 100", []),
        ('rm "$STATE/installed/' + UTILS + '"; echo "E: dpkg returned an error code"; exit 100', ["half-changed"]),
    ],
)
def test_an_installation_that_fails_tells_whether_it_has_changed_the_driver(
    driver_machine: AMachine, apt: str, reported: list[str]
) -> None:
    driver_machine.program("apt-get", f'case "$*" in *install*) {apt}; esac')
    code, last, ended = run(driver_machine, "driver", **OPEN)
    assert (code, last.split(" ")[0]) == (1, "failed")
    assert [line for line in ended.stdout.splitlines() if line == "half-changed"] == reported


def test_who_holds_dpkgs_lock_is_told(gpu_machine: AMachine) -> None:
    lock = gpu_machine.root / "var/lib/dpkg/lock-frontend"
    gpu_machine.program("lslocks", f"echo unattended-upgr 812 {lock}; echo cron 3 /run/crond.pid")
    code, _, ended = run(gpu_machine, "driver", **DRIVER)
    assert code == 0
    assert "progress waiting for unattended-upgr (process 812), which holds dpkg's lock; at most 10 min" in ended.stdout
