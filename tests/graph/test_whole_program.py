"""The program as a whole: every stack file runs, mistakes are told, outputs are what docs/outputs.md says."""

import hashlib
import re

import pulumi
import pytest

from recording import VERIFICATION_REPORT, Encrypted
from stacks import ADMIN_PRIVATE_KEY, HOST_PUBLIC_KEY, REPOSITORY, STACKS, Program, main_program

OUTPUTS = {"addresses", "privateAddresses", "ssh", "knownHosts", "kubeconfig", "layout", "verification"}


@pytest.mark.parametrize("path", STACKS)
def test_every_stack_file_of_the_repository_runs_to_its_end(program: Program, path: str) -> None:
    graph = program(path)
    assert graph.of("VirtualMachine")
    assert graph.one("verification-run")


def test_a_first_preview_knows_no_address_and_still_shows_every_resource(program: Program) -> None:
    planned, made = program(preview=True), program()
    assert sorted(each.urn for each in planned.resources) == sorted(each.urn for each in made.resources)
    assert not planned.exports["addresses"].known
    assert not planned.exports["kubeconfig"].known
    assert planned.exports["kubeconfig"].secret
    assert planned.exports["layout"].known


def test_two_runs_declare_the_same() -> None:
    first, second = (main_program("Pulumi.dev.yaml", preview=False, replaced={}) for _ in range(2))
    assert {each.urn: each.inputs for each in first.resources} == {each.urn: each.inputs for each in second.resources}


def test_the_outputs_are_these(program: Program) -> None:
    exports = program().exports
    assert set(exports) == OUTPUTS
    assert exports["addresses"].value == {"mlops-k8s-master": "198.51.100.10"}
    assert exports["ssh"].value == {"mlops-k8s-master": "ssh azureuser@198.51.100.10"}
    assert exports["knownHosts"].value == {"mlops-k8s-master": f"198.51.100.10 {HOST_PUBLIC_KEY}"}
    assert exports["verification"].value == VERIFICATION_REPORT
    (gpu,) = exports["layout"].value["mlops-k8s-master"]["gpus"]
    assert {instance["profile"] for instance in gpu["instances"]} == {"3g.40gb", "2g.20gb", "1g.10gb"}


def test_every_output_is_documented_and_no_other_is() -> None:
    outputs, _, _ = (REPOSITORY / "docs/outputs.md").read_text(encoding="utf-8").partition("\n## ")
    documented = re.findall(r"^\| `(\w+)` \|", outputs, re.M)
    assert sorted(documented) == sorted(OUTPUTS)


def test_without_verification_the_output_is_empty_and_nothing_runs(program: Program) -> None:
    graph = program(verify={"enabled": False})
    assert graph.exports["verification"].value is None
    assert not [each for each in graph.commands() if "mig-verify" in each.plain("create")]


def test_a_preview_tells_all_warnings_once_and_makes_its_plan(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    graph = program(preview=True, rke2={"version": "v1.38.0+rke2r1"}, toolkit={"version": "1.21.0-1"})
    assert graph.of("VirtualMachine")
    (report,) = said
    assert report.startswith("3 warnings about this stack; nothing is refused for it.\n\nmig-k8s:toolkit.version: 1.21")
    assert [line for line in report.splitlines() if line.startswith("mig-k8s:")][-1].startswith("mig-k8s:rke2.sha256")
    said.clear()
    program(preview=True)
    assert said == []


def test_all_mistakes_of_a_stack_are_told_at_once_and_nothing_is_registered(program: Program) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        program(adminCidrs=["0.0.0.0/0"], nodePool=[], mig={"strategie": "single"}, sshHostKey=None)
    report = str(refused.value)
    for mentioned in ("adminCidrs", "nodePool", "strategie", "sshHostSecret"):
        assert mentioned in report
    assert refused.value.__cause__ is None


def test_a_host_key_of_another_kind_is_refused_without_being_shown(program: Program) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nbm90IGFuIG9wZW5zc2gga2V5\n-----END RSA PRIVATE KEY-----\n"
    with pytest.raises(pulumi.RunError, match="mig-k8s:sshHostKey") as refused:
        program(sshHostKey=Encrypted(key))
    assert "bm90IGFuIG9wZW5zc2gga2V5" not in str(refused.value)
    assert "ssh-keygen -t ed25519" in str(refused.value)


def test_a_secret_in_clear_is_refused_and_not_repeated(program: Program) -> None:
    with pytest.raises(pulumi.RunError, match="mig-k8s:sshPrivateKey") as refused:
        program(sshPrivateKey=ADMIN_PRIVATE_KEY)
    assert "in clear" in str(refused.value)
    assert ADMIN_PRIVATE_KEY.splitlines()[3] not in str(refused.value)


def test_user_data_that_is_too_large_is_told_as_a_mistake_of_the_stack(program: Program) -> None:
    """Packed files are hard to blow up: only text without any repetition does it."""
    noise = hashlib.shake_256(b"").hexdigest(80_000)
    with pytest.raises(pulumi.RunError, match="65535"):
        program(rke2={"config": {"kube-apiserver-arg": [noise]}})
