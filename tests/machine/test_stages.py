"""The install stages, each run as mig-k8s runs it, with stubs of the programs they call."""

import dataclasses
import re
import subprocess
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from a_machine import AMachine
from install_stages import CLOUD_INIT, CURL, run, web
from packages_on_machine import install, installed, offer, packages
from rke2_on_machine import RKE2, RKE2_SYSTEMCTL, asked, keep_tokens, put_in_place, release
from staged import STAGES

from machine.documents.desired_state import Apt, DesiredState, Driver, FabricManager, Mig, Rke2, Toolkit


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_stops_at_errors_and_can_be_sourced(name: str) -> None:
    text = (CLOUD_INIT / "stages" / name).read_text(encoding="utf-8")
    assert "\nset -euo pipefail\n" in text
    sourced = subprocess.run(
        ["bash", "-c", f'source "{CLOUD_INIT}/stages/{name}"; declare -F main'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sourced.stdout == "main\n"


def test_every_stage_reads_all_of_its_section_and_nothing_else() -> None:
    """No field without a reader, no variable that nobody sets."""
    hints = typing.get_type_hints(DesiredState)
    sections = {"apt": Apt, "driver": Driver, "fabric-manager": FabricManager, "toolkit": Toolkit, "mig-mode": Mig}
    for stage, section in sections.items():
        name = {"mig-mode": "mig"}.get(stage, stage.replace("-", "_"))
        assert section in (hints[name], *typing.get_args(hints[name]))
        fields = {f"{name}_{field.name}".upper() for field in dataclasses.fields(section)}
        text = (CLOUD_INIT / "stages" / stage).read_text(encoding="utf-8")
        assert set(re.findall(rf"\b{name.upper()}_[A-Z0-9_]+\b", text)) == fields, stage
    texts = {name: (CLOUD_INIT / "stages" / name).read_text(encoding="utf-8") for name in ("rke2", "rke2-download")}
    read = {name: set(re.findall(r"\bRKE2_[A-Z0-9_]+\b", text)) for name, text in texts.items()}
    assert read["rke2"] | read["rke2-download"] == {f"RKE2_{field.name}".upper() for field in dataclasses.fields(Rke2)}
    both = {"RKE2_VERSION", "RKE2_ARTIFACTS", "RKE2_SHA256", "RKE2_ROLE"}
    assert read["rke2-download"] == both | {"RKE2_IMAGE_ARCHIVES"}


# ---- apt


def test_apt_waits_for_locks_and_leaves_nvidia_packages_to_us(real_stages: AMachine) -> None:
    packages(real_stages)
    code, last, _ = run(real_stages, "apt", APT_UBUNTU="")
    assert (code, last.split(" ")[0]) == (0, "done")
    settings = real_stages.read("etc/apt/apt.conf.d/99-mig-k8s")
    assert 'DPkg::Lock::Timeout "600";' in settings
    assert 'Unattended-Upgrade::Package-Blacklist { "nvidia-"; "libnvidia-"; "linux-modules-nvidia-";' in settings
    assert real_stages.mode_of("etc/apt/apt.conf.d/99-mig-k8s") == "0o644"
    assert run(real_stages, "apt", APT_UBUNTU="")[1] == "unchanged apt is set"


def test_a_recoverable_error_of_cloud_init_is_none_and_a_crash_is_told(real_stages: AMachine) -> None:
    packages(real_stages)
    _, _, ended = run(real_stages, "apt", APT_UBUNTU="", CLOUD_INIT_STATUS="2")
    assert "cloud-init ended" not in ended.stdout
    code, _, ended = run(real_stages, "apt", APT_UBUNTU="", CLOUD_INIT_STATUS="1")
    assert code == 0
    assert "progress cloud-init ended with 1" in ended.stdout


def test_cloud_init_is_waited_for_until_the_first_boot_of_an_instance_has_ended(real_stages: AMachine) -> None:
    """An image that was made of a machine brings the machine's records, and is another instance."""
    packages(real_stages)
    instance = real_stages.path("var/lib/cloud/instance")
    instance.parent.mkdir(parents=True)
    instance.symlink_to("/var/lib/cloud/instances/first")
    run(real_stages, "apt", APT_UBUNTU="", CLOUD_INIT_STATUS="1")
    run(real_stages, "apt", APT_UBUNTU="")
    assert len(real_stages.calls("cloud-init status --wait")) == 2
    run(real_stages, "apt", APT_UBUNTU="")
    assert len(real_stages.calls("cloud-init status --wait")) == 2
    instance.unlink()
    instance.symlink_to("/var/lib/cloud/instances/of-its-image")
    run(real_stages, "apt", APT_UBUNTU="")
    assert len(real_stages.calls("cloud-init status --wait")) == 3


def test_a_mirror_takes_the_place_of_the_images_sources_and_gives_it_back(real_stages: AMachine) -> None:
    packages(real_stages)
    real_stages.write("etc/os-release", "NAME=Ubuntu\nVERSION_CODENAME=noble\n")
    real_stages.write("etc/apt/sources.list.d/ubuntu.sources", "the image's\n")
    run(real_stages, "apt", APT_UBUNTU="https://mirror.example/ubuntu")
    mirror = real_stages.read("etc/apt/sources.list.d/mig-k8s-ubuntu.sources")
    assert "URIs: https://mirror.example/ubuntu\nSuites: noble noble-updates noble-security\n" in mirror
    assert not (real_stages.root / "etc/apt/sources.list.d/ubuntu.sources").exists()
    assert run(real_stages, "apt", APT_UBUNTU="https://mirror.example/ubuntu")[1] == "unchanged apt is set"
    run(real_stages, "apt", APT_UBUNTU="")
    assert real_stages.read("etc/apt/sources.list.d/ubuntu.sources") == "the image's\n"
    assert not (real_stages.root / "etc/apt/sources.list.d/mig-k8s-ubuntu.sources").exists()


def test_a_full_disk_fails_the_stage_and_leaves_the_old_file(real_stages: AMachine) -> None:
    packages(real_stages)
    real_stages.write("etc/apt/apt.conf.d/99-mig-k8s", "old\n")
    real_stages.program("install", "echo 'install: error writing: No space left on device' >&2; exit 1")
    code, _, ended = run(real_stages, "apt", APT_UBUNTU="")
    assert code != 0
    assert "No space left on device" in ended.stderr
    assert real_stages.read("etc/apt/apt.conf.d/99-mig-k8s") == "old\n"


# ---- toolkit

KEYRING = "usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"
TOOLKIT_PACKAGES = (
    "nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools", "libnvidia-container1",
)  # fmt: skip


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """Fingerprint and armored public half of a new key."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", "mirror", "ed25519", "sign"], check=True)
    listed = subprocess.run([*gpg, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True).stdout
    (fingerprint,) = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")]
    armored = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return fingerprint, armored


@dataclass(frozen=True)
class Stranger:
    """Another key than the repository's, in a GnuPG home of its own."""

    home: Path

    def gpg(self, *words: str) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--passphrase", "", *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def armored(self) -> bytes:
        return self.gpg("--armor", "--export")

    def fingerprints(self) -> list[str]:
        """The key's own, then those of its subkeys."""
        listed = self.gpg("--list-keys", "--with-colons").decode()
        return [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")]

    @property
    def fingerprint(self) -> str:
        return self.fingerprints()[0]

    def subkeys(self) -> list[str]:
        return self.fingerprints()[1:]

    def add_subkey(self) -> None:
        self.gpg("--quick-add-key", self.fingerprint, "ed25519", "sign")


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    home = tmp_path / "stranger"
    home.mkdir(mode=0o700)
    made = Stranger(home)
    made.gpg("--quick-generate-key", "stranger", "ed25519", "sign")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.fixture
def toolkit_machine(real_stages: AMachine, signing_key: tuple[str, bytes]) -> AMachine:
    packages(real_stages)
    for name in TOOLKIT_PACKAGES:
        offer(real_stages, name, "1.20.0-1")
    real_stages.program("curl", CURL)
    web(real_stages, "mirror.example/toolkit/gpgkey", signing_key[1])
    return real_stages


def toolkit(fingerprint: str, from_environment: str = "0") -> dict[str, str]:
    return {
        "TOOLKIT_VERSION": "1.20.0-1",
        "TOOLKIT_APT": f"https://mirror.example/toolkit{fingerprint}",
        "TOOLKIT_DEVICE_LIST_FROM_ENVIRONMENT": from_environment,
    }


def test_the_toolkit_is_installed_by_exact_version_from_a_repository_with_the_named_key(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes]
) -> None:
    code, last, ended = run(toolkit_machine, "toolkit", **toolkit(f"#{signing_key[0].lower()}"))
    assert (code, last) == (0, "done nvidia-container-toolkit 1.20.0-1 from https://mirror.example/toolkit"), (
        ended.stderr
    )
    assert installed(toolkit_machine) == dict.fromkeys(TOOLKIT_PACKAGES, "1.20.0-1")
    assert toolkit_machine.read("etc/apt/sources.list.d/nvidia-container-toolkit.list") == (
        "deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg] "
        "https://mirror.example/toolkit/stable/deb/amd64 /\n"
    )
    assert toolkit_machine.mode_of("usr/share/keyrings/nvidia-container-toolkit-keyring.gpg") == "0o644"
    assert toolkit_machine.calls("apt-mark hold") == [f"apt-mark hold {' '.join(TOOLKIT_PACKAGES)}"]
    toolkit_machine.forget_calls()
    assert (
        run(toolkit_machine, "toolkit", **toolkit(f"#{signing_key[0]}"))[1]
        == "unchanged nvidia-container-toolkit 1.20.0-1"
    )
    assert toolkit_machine.calls("curl") + toolkit_machine.calls("apt-get") == []


@pytest.mark.parametrize("fingerprint", ["", "#C95B321B61E88C1809C4F759DDCAE044F796ECB0"])
def test_a_key_with_another_fingerprint_is_refused_and_nothing_installed(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes], fingerprint: str
) -> None:
    code, last, _ = run(toolkit_machine, "toolkit", **toolkit(fingerprint))
    assert code == 1
    assert last.startswith(
        f"failed the key at https://mirror.example/toolkit/gpgkey is {signing_key[0]}, expected "
        "C95B321B61E88C1809C4F759DDCAE044F796ECB0."
    )
    assert installed(toolkit_machine) == {}
    assert not (toolkit_machine.root / "usr/share/keyrings/nvidia-container-toolkit-keyring.gpg").exists()


def test_a_key_file_with_a_further_key_is_refused(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes], stranger: Stranger
) -> None:
    web(toolkit_machine, "mirror.example/toolkit/gpgkey", signing_key[1] + stranger.armored())
    code, last, _ = run(toolkit_machine, "toolkit", **toolkit(f"#{signing_key[0]}"))
    assert code == 1
    assert last.startswith(
        f"failed the key at https://mirror.example/toolkit/gpgkey is {signing_key[0]}, {stranger.fingerprint}, "
        f"expected {signing_key[0]}."
    )
    assert not toolkit_machine.path(KEYRING).exists()


def test_a_strangers_key_that_has_the_named_key_as_its_subkey_is_refused(
    toolkit_machine: AMachine, stranger: Stranger
) -> None:
    stranger.add_subkey()
    # Fingerprints are public: anybody may name a key of his own that has ours below it.
    (subkey,) = stranger.subkeys()
    web(toolkit_machine, "mirror.example/toolkit/gpgkey", stranger.armored())
    code, last, _ = run(toolkit_machine, "toolkit", **toolkit(f"#{subkey}"))
    assert code == 1
    assert last.startswith(
        f"failed the key at https://mirror.example/toolkit/gpgkey is {stranger.fingerprint}, expected {subkey}."
    )
    assert installed(toolkit_machine) == {}
    assert not toolkit_machine.path(KEYRING).exists()


def test_a_key_with_a_subkey_of_its_own_is_named_by_its_primary_key(
    toolkit_machine: AMachine, stranger: Stranger
) -> None:
    stranger.add_subkey()
    web(toolkit_machine, "mirror.example/toolkit/gpgkey", stranger.armored())
    assert run(toolkit_machine, "toolkit", **toolkit(f"#{stranger.fingerprint}"))[0] == 0


def test_a_version_that_the_repository_does_not_have_is_told_with_those_it_has(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes]
) -> None:
    code, last, _ = run(toolkit_machine, "toolkit", **{**toolkit(f"#{signing_key[0]}"), "TOOLKIT_VERSION": "9.9.9-1"})
    assert code == 1
    assert last == (
        "failed apt cannot install version 9.9.9-1: E: Version not found. https://mirror.example/toolkit has: 1.20.0-1"
    )


def test_a_toolkit_of_another_version_is_replaced(toolkit_machine: AMachine, signing_key: tuple[str, bytes]) -> None:
    for name in TOOLKIT_PACKAGES:
        install(toolkit_machine, name, "1.19.1-1")
    assert run(toolkit_machine, "toolkit", **toolkit(f"#{signing_key[0]}"))[0] == 0
    assert installed(toolkit_machine) == dict.fromkeys(TOOLKIT_PACKAGES, "1.20.0-1")


TOOLKIT_CONFIG = "etc/nvidia-container-runtime/config.toml"
FROM_ENVIRONMENT = "accept-nvidia-visible-devices-envvar-when-unprivileged"
AS_INSTALLED = f"""\
#accept-nvidia-visible-devices-as-volume-mounts = false
#{FROM_ENVIRONMENT} = true
disable-require = false

[nvidia-container-cli]
load-kmods = true
"""
"""What the package writes, at its beginning."""


def write_toolkit_config(machine: AMachine, content: str) -> None:
    path = machine.root / TOOLKIT_CONFIG
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(("asked", "value"), [("0", "false"), ("1", "true")])
def test_the_toolkit_lets_only_privileged_containers_name_devices_unless_the_stack_says_so(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes], asked: str, value: str
) -> None:
    write_toolkit_config(toolkit_machine, AS_INSTALLED)
    assert run(toolkit_machine, "toolkit", **toolkit(f"#{signing_key[0]}", asked))[0] == 0
    assert toolkit_machine.read(TOOLKIT_CONFIG) == (
        f"{FROM_ENVIRONMENT} = {value}\n"
        "#accept-nvidia-visible-devices-as-volume-mounts = false\n"
        "disable-require = false\n"
        "\n"
        "[nvidia-container-cli]\n"
        "load-kmods = true\n"
    )
    assert toolkit_machine.mode_of(TOOLKIT_CONFIG) == "0o644"


@pytest.mark.parametrize(
    "found",
    [
        None,
        AS_INSTALLED,
        f"{FROM_ENVIRONMENT}=true\n",
        f"disable-require = false\n  {FROM_ENVIRONMENT} = true # by hand\n",
        f"[nvidia-container-cli]\n{FROM_ENVIRONMENT} = false\n",
    ],
)
def test_an_installed_toolkit_keeps_its_configuration_as_the_stack_says(
    toolkit_machine: AMachine, signing_key: tuple[str, bytes], found: str | None
) -> None:
    asked = toolkit(f"#{signing_key[0]}")
    run(toolkit_machine, "toolkit", **asked)
    (toolkit_machine.root / TOOLKIT_CONFIG).unlink()
    if found is not None:
        write_toolkit_config(toolkit_machine, found)
    toolkit_machine.forget_calls()
    assert run(toolkit_machine, "toolkit", **asked)[:2] == (
        0,
        f"done nvidia-container-toolkit 1.20.0-1: wrote {FROM_ENVIRONMENT}, which holds for new containers",
    )
    lines = toolkit_machine.read(TOOLKIT_CONFIG).splitlines()
    assert lines[0] == f"{FROM_ENVIRONMENT} = false"
    assert not any(FROM_ENVIRONMENT in line for line in lines[1:])
    assert toolkit_machine.calls("curl") + toolkit_machine.calls("apt-get") == []
    assert run(toolkit_machine, "toolkit", **asked)[1] == "unchanged nvidia-container-toolkit 1.20.0-1"


# ---- mig-mode

MODES = """
    echo "$*" >>"$STATE/asked"
    echo "GPU 0: looking" >&2
    cat "$STATE/says"
    exit $(<"$STATE/status")
"""


@pytest.fixture
def mode_machine(real_stages: AMachine) -> AMachine:
    """A machine whose Python is a program that says what `modes` of the release would."""
    real_stages.write("usr/bin/python3", f"#!/bin/bash\n{MODES}", 0o755)
    (real_stages.state / "status").write_text("0", encoding="ascii")
    return real_stages


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ("done MIG mode of GPU 0 is on", 0),
        ("unchanged MIG mode of GPU 0 is on", 0),
        ("reboot MIG mode of GPU 0 changes only with a reboot", 0),
        ("failed pod default/trainer holds GPU 0", 1),
    ],
)
def test_the_mode_is_changed_by_the_release_that_the_stage_belongs_to(
    mode_machine: AMachine, says: str, status: int
) -> None:
    (mode_machine.state / "says").write_text(says + "\n", encoding="utf-8")
    (mode_machine.state / "status").write_text(str(status), encoding="ascii")
    code, _, ended = run(mode_machine, "mig-mode", MIG_MODE="1", MIG_ON_CHANGE="refuse")
    assert code == status
    assert sorted(ended.stdout.splitlines()) == sorted(["progress GPU 0: looking", says])  # two streams, no order
    assert (mode_machine.state / "asked").read_text(encoding="utf-8") == f"-I -B {CLOUD_INIT} modes\n"


# ---- rke2


DATASTORE = "var/lib/rancher/rke2/server/db/etcd/member/wal/0.wal"
MAY_FOUND = "var/lib/mig-k8s/may-found"


@pytest.mark.parametrize("config", ["", "token-file: x\nserver: https://10.60.0.5:9345\n"])
@pytest.mark.parametrize("permitted", [True, False])
@pytest.mark.parametrize("datastore", [True, False])
def test_a_server_starts_with_a_datastore_a_server_to_join_or_a_permission(
    rke2_machine: AMachine, config: str, permitted: bool, datastore: bool
) -> None:
    rke2_machine.write("etc/rancher/rke2/config.yaml", config, 0o600)
    if not permitted:
        rke2_machine.path(MAY_FOUND).unlink()
    if datastore:
        rke2_machine.write(DATASTORE, "")
    code, last, _ = run(rke2_machine, "rke2", **RKE2)
    if config or permitted or datastore:
        assert code == 0
        assert len(rke2_machine.calls("systemctl start")) == 1
    else:
        assert code == 1
        assert last == (
            "failed RKE2 was not started, it would found a second cluster: there is no datastore, no server to join "
            "and no permission. `pulumi up` joins it to a server that answers, or tells what to do"
        )
        assert rke2_machine.calls("systemctl start") == []


def test_an_agent_needs_none_of_them(rke2_machine: AMachine) -> None:
    rke2_machine.path(MAY_FOUND).unlink()
    assert run(rke2_machine, "rke2", **{**RKE2, "RKE2_ROLE": "agent"})[0] == 0


def test_the_permission_to_found_is_used_up_when_the_datastore_is_there(rke2_server: AMachine) -> None:
    assert rke2_server.path(MAY_FOUND).exists()  # RKE2 has ended without one
    path = rke2_server.path(DATASTORE).parent
    rke2_server.program("systemctl", RKE2_SYSTEMCTL.replace("start|restart)", f'start|restart) mkdir -p "{path}";'))
    (rke2_server.state / "up").unlink()
    run(rke2_server, "rke2", **RKE2)
    assert not rke2_server.path(MAY_FOUND).exists()


def test_rke2_is_installed_by_version_started_and_waited_for(rke2_machine: AMachine) -> None:
    code, last, ended = run(rke2_machine, "rke2", **RKE2)
    assert (code, last) == (0, "done RKE2 v1.35.7+rke2r1 server is ready"), ended.stderr
    assert put_in_place(rke2_machine) == 1
    assert rke2_machine.calls("systemctl enable") == ["systemctl enable rke2-server.service"]
    assert rke2_machine.calls("systemctl start") == ["systemctl start rke2-server.service"]
    assert not (rke2_machine.root / "var/lib/mig-k8s/rke2").exists()  # the tarball does not stay on the disk


def test_an_rke2_that_runs_as_wanted_is_neither_downloaded_nor_restarted(rke2_server: AMachine) -> None:
    assert run(rke2_server, "rke2", **RKE2)[1] == "unchanged RKE2 v1.35.7+rke2r1 server is ready"
    assert rke2_server.calls("curl") + rke2_server.calls("systemctl restart") == []


@pytest.mark.parametrize("starting", [False, True])  # as after a boot: systemd starts RKE2, while the stages run
def test_a_changed_configuration_restarts_rke2_once(rke2_server: AMachine, starting: bool) -> None:
    if starting:
        (rke2_server.state / "starting").touch()
    rke2_server.write("etc/rancher/rke2/config.yaml", "cni: canal\n", 0o600)
    assert run(rke2_server, "rke2", **RKE2)[1] == "done RKE2 v1.35.7+rke2r1 server is ready"
    assert rke2_server.calls("systemctl restart") == ["systemctl restart rke2-server.service"]
    run(rke2_server, "rke2", **RKE2)
    assert len(rke2_server.calls("systemctl restart")) == 1


def test_another_version_is_installed_over_a_running_one_and_restarted(rke2_server: AMachine) -> None:
    release(rke2_server, "mirror.example/rke2/v1.35.8+rke2r1")
    newer = {"RKE2_VERSION": "v1.35.8+rke2r1", "RKE2_ARTIFACTS": "https://mirror.example/rke2/v1.35.8+rke2r1"}
    assert run(rke2_server, "rke2", **{**RKE2, **newer})[1] == "done RKE2 v1.35.8+rke2r1 server is ready"
    assert rke2_server.calls("systemctl restart") == ["systemctl restart rke2-server.service"]


CONTAINERD = "var/lib/rancher/rke2/agent/etc/containerd/config.toml"


@pytest.mark.parametrize("starting", [False, True])
def test_an_rke2_that_started_before_the_toolkit_is_restarted(rke2_server: AMachine, starting: bool) -> None:
    if starting:
        (rke2_server.state / "starting").touch()
    rke2_server.write("usr/bin/nvidia-container-runtime", "", 0o755)
    path = rke2_server.write(CONTAINERD, "[plugins]\n")
    restart_writes = f'[ "$1" != restart ] || echo nvidia >"{path}"\n'
    rke2_server.program("systemctl", restart_writes + RKE2_SYSTEMCTL)
    _, last, ended = run(rke2_server, "rke2", **RKE2)
    assert last == "done RKE2 v1.35.7+rke2r1 server is ready"
    assert [line for line in ended.stdout.splitlines() if line.startswith("progress ")] == [
        "progress waiting for rke2-server.service",
        "progress restarting rke2-server.service: it started before the toolkit, its containerd has no nvidia runtime",
    ]
    assert started(rke2_server) == ["start", "restart"]
    assert run(rke2_server, "rke2", **RKE2)[1] == "unchanged RKE2 v1.35.7+rke2r1 server is ready"
    assert started(rke2_server) == ["start"]


def test_a_containerd_without_nvidia_runtime_after_the_restart_is_a_failure(rke2_machine: AMachine) -> None:
    rke2_machine.write("usr/bin/nvidia-container-runtime", "", 0o755)
    rke2_machine.write(CONTAINERD, "[plugins]\n")
    code, last, _ = run(rke2_machine, "rke2", **RKE2)
    assert code == 1
    assert "its containerd has no nvidia runtime" in last
    assert run(rke2_machine, "rke2", **{**RKE2, "RKE2_GPU": "0"})[0] == 0


def test_an_rke2_that_does_not_become_ready_fails_with_its_state(rke2_machine: AMachine) -> None:
    (rke2_machine.state / "broken").touch()
    code, last, _ = run(rke2_machine, "rke2", **RKE2)
    assert code == 1
    assert last == (
        "failed rke2-server.service is activating after systemctl start (status 1, limit 1200 s); "
        "journalctl -u rke2-server.service tells why"
    )


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_token_that_comes_over_ssh_is_waited_for(rke2_machine: AMachine, role: str) -> None:
    rke2_machine.path("etc/rancher/rke2/token").unlink()
    rke2_machine.program("sleep", 'echo secret >"$MIG_K8S_ROOT/etc/rancher/rke2/token"')
    code, _, ended = run(rke2_machine, "rke2", **{**RKE2, "RKE2_ROLE": role})
    assert code == 0
    assert "progress waiting for the token, which comes over SSH" in ended.stdout
    assert "secret" not in ended.stdout + ended.stderr
    assert rke2_machine.calls("systemctl start") == [f"systemctl start rke2-{role}.service"]


@pytest.mark.parametrize("tracing", [{}, {"SHELLOPTS": "xtrace"}])  # as with bash -x
def test_no_secret_of_joining_is_in_a_report_or_in_the_log_of_the_stage(
    rke2_machine: AMachine, tracing: dict[str, str]
) -> None:
    _, _, ended = run(rke2_machine, "rke2", **RKE2, **tracing)
    assert ("+ wait_for_token" in ended.stderr) == bool(tracing)
    said = (ended.stdout + ended.stderr).replace(str(rke2_machine.folder), "")  # it has the name of this test
    assert not {word for word in ("secret", "of agents") if word in said}
    for name in ("rke2-config.sha256", "rke2-agent-token.sha256"):
        assert rke2_machine.mode_of(f"var/lib/mig-k8s/{name}") == "0o600"


PASSWORDS = "var/lib/rancher/rke2/server/cred/passwd"
RUNS = "done RKE2 v1.35.7+rke2r1 server is ready"


def started(machine: AMachine) -> list[str]:
    """How the server was started since the last question."""
    calls = machine.calls("systemctl start") + machine.calls("systemctl restart")
    machine.forget_calls()
    return [call.split()[1] for call in calls]


def test_a_server_that_starts_with_its_agent_token_for_the_first_time_needs_nothing_more(
    rke2_machine: AMachine,
) -> None:
    assert run(rke2_machine, "rke2", **RKE2)[1] == RUNS
    rke2_machine.write(PASSWORDS, "as RKE2 made them", 0o600)
    assert (started(rke2_machine), asked(rke2_machine)) == (["start"], [])
    assert run(rke2_machine, "rke2", **RKE2)[1] == RUNS.replace("done", "unchanged")
    assert asked(rke2_machine) == []


def test_a_living_server_restarts_once_for_an_agent_token_and_is_told_to_keep_it(rke2_server: AMachine) -> None:
    """RKE2 would refuse the start after that one: rancher/rke2#5785."""
    rke2_server.write(PASSWORDS, "as RKE2 made them", 0o600)
    rke2_server.write("etc/rancher/rke2/agent-token", "another\n", 0o600)
    assert run(rke2_server, "rke2", **RKE2)[1] == RUNS
    assert (started(rke2_server), asked(rke2_server)) == (["restart"], ["keep-tokens"])
    assert rke2_server.read(PASSWORDS) == "as RKE2 made them"
    assert run(rke2_server, "rke2", **RKE2)[1] == RUNS.replace("done", "unchanged")
    assert asked(rke2_server) == []


def test_a_server_that_could_not_keep_its_agent_token_fails_and_tries_again_without_a_restart(
    rke2_server: AMachine,
) -> None:
    rke2_server.write(PASSWORDS, "as RKE2 made them", 0o600)
    rke2_server.write("etc/rancher/rke2/agent-token", "another\n", 0o600)
    keep_tokens(rke2_server, status=1)
    code, last, _ = run(rke2_server, "rke2", **RKE2)
    assert code == 1
    assert last.startswith("failed RKE2 runs, but its next start would be refused: ")
    keep_tokens(rke2_server)
    asked(rke2_server)
    assert run(rke2_server, "rke2", **RKE2)[0] == 0
    assert asked(rke2_server) == ["keep-tokens"]


@pytest.mark.parametrize(("starting", "verb"), [(False, "start"), (True, "restart")])  # tried by systemd, in vain
def test_a_server_that_went_down_before_its_agent_token_was_kept_starts_from_what_the_cluster_knows(
    rke2_server: AMachine, starting: bool, verb: str
) -> None:
    rke2_server.write("etc/rancher/rke2/agent-token", "another\n", 0o600)
    rke2_server.write(PASSWORDS, "newer than the cluster's", 0o600)
    (rke2_server.state / "up").unlink()
    if starting:
        (rke2_server.state / "starting").touch()
    assert run(rke2_server, "rke2", **RKE2)[1] == RUNS
    assert not rke2_server.path(PASSWORDS).exists()  # which RKE2 makes again
    assert (started(rke2_server), asked(rke2_server)) == ([verb], ["keep-tokens"])


def test_the_passwords_of_a_server_that_is_only_down_are_left_alone(rke2_server: AMachine) -> None:
    rke2_server.write(PASSWORDS, "as RKE2 made them", 0o600)
    (rke2_server.state / "up").unlink()
    run(rke2_server, "rke2", **RKE2)
    assert rke2_server.read(PASSWORDS) == "as RKE2 made them"
    assert asked(rke2_server) == []


def test_another_token_alone_restarts_no_agent(rke2_agent: AMachine) -> None:
    rke2_agent.write("etc/rancher/rke2/token", "another\n", 0o600)
    ended = run(rke2_agent, "rke2", **{**RKE2, "RKE2_ROLE": "agent"})
    assert ended[1] == "unchanged RKE2 v1.35.7+rke2r1 agent is ready"
    assert (started(rke2_agent), asked(rke2_agent)) == (["start"], [])


def test_the_cis_profile_has_its_user_and_kernel_settings_before_the_first_start(rke2_machine: AMachine) -> None:
    assert run(rke2_machine, "rke2", **{**RKE2, "RKE2_CIS": "1"})[0] == 0
    order = [
        call.split()[0] for call in rke2_machine.calls() if call.startswith(("useradd", "sysctl", "systemctl start"))
    ]
    assert order == ["sysctl", "useradd", "sysctl", "systemctl"]
    assert rke2_machine.read("etc/sysctl.d/60-rke2-cis.conf") == "vm.panic_on_oom=0\n"


@pytest.mark.parametrize("status", [0, 1])
def test_gpu_clients_that_a_killed_change_left_paused_are_started_again_by_this_release(
    rke2_machine: AMachine, status: int
) -> None:
    rke2_machine.write("var/lib/mig-k8s/paused", "{}")
    keep_tokens(rke2_machine, status)
    code, last, ended = run(rke2_machine, "rke2", **RKE2)
    assert (code, last) == (0, "done RKE2 v1.35.7+rke2r1 server is ready")
    assert asked(rke2_machine) == ["start-clients"]
    assert ("progress paused GPU clients cannot be started again yet" in ended.stdout) == (status == 1)
