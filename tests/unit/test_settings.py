"""The settings model against docs/config-reference.yaml and Pulumi.yaml: one contract, three places."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import PUBLIC_KEY, SECRETS, minimal

from plan import Problems, read_settings
from plan.stack_file.shapes import SECRET_KEYS

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The sections of the reference, without the namespace."""
    config = yaml.safe_load((_ROOT / "docs" / "config-reference.yaml").read_text(encoding="utf-8"))["config"]
    return {key.removeprefix("mig-k8s:"): value for key, value in config.items() if key.startswith("mig-k8s:")}


def test_a_stack_of_three_keys_gets_the_defaults_of_the_reference(reference: dict[str, Any]) -> None:
    """Every key, exactly."""
    least = {"adminCidrs": ["203.0.113.7/32"], "ssh": {"publicKey": f"{PUBLIC_KEY} example"}}
    settings = read_settings(least, location="westeurope", secrets=SECRETS)
    found = _plain(settings.model_dump(by_alias=True))
    assert found.pop("location") == "westeurope"
    # The reference writes gpus in a comment: it is another form of migDevices.
    assert [pool.pop("gpus") for pool in found["nodePools"]] == [None]
    assert found == reference


def test_the_reference_is_itself_a_right_stack(reference: dict[str, Any]) -> None:
    """With every default spelt out."""
    read_settings(reference, location="westeurope", secrets=SECRETS)


@pytest.mark.parametrize(
    "other",
    [
        {"ssh": {"publicKey": PUBLIC_KEY, "agentSocketPath": "/run/user/1000/ssh-agent.sock"}},
        {"vm": {"spot": {"maxPrice": -1, "evictionPolicy": "Deallocate"}}},
        {"vm": {"spot": {"maxPrice": 1.25, "evictionPolicy": "Delete"}}},
        {"vm": {"autoShutdown": {"time": "1900", "timeZone": "UTC"}}},
        {"vm": {"zone": "2"}},
        {"nodePools": [{"gpus": [{"devices": [0], "migDevices": {"1g.10gb": 7}}]}]},
        {"nodePools": [{"nodeTaints": ["key=value:NoSchedule"], "nodeLabels": {"example.org/a": "b"}}]},
    ],
)
def test_the_other_forms_of_the_reference_are_right_too(other: dict[str, Any]) -> None:
    """What stands there behind #=."""
    read_settings(minimal(**other), location="westeurope", secrets=SECRETS)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of a stack
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def test_pulumi_is_told_of_known_keys_only_and_of_none_that_may_be_missing(reference: dict[str, Any]) -> None:
    """A declared key without a default is required in every stack."""
    project = yaml.safe_load((_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["name"] == "mig-k8s"
    assert project["runtime"] == {"name": "python", "options": {"virtualenv": "venv"}}
    declared = {key.removeprefix("mig-k8s:"): value for key, value in project["config"].items()}
    assert set(declared) <= set(reference)
    assert {key for key, value in declared.items() if "default" not in value} <= {"adminCidrs"}
    assert all(value["type"] in {"string", "integer", "boolean", "array"} for value in declared.values())


def test_settings_cannot_be_changed() -> None:
    """What was checked stays what it is."""
    settings = read_settings(minimal(), location="westeurope", secrets=SECRETS)
    with pytest.raises(ValueError, match="frozen"):
        settings.mig.strategy = "none"  # type: ignore[misc]  # that it is refused is the point


def test_a_stack_without_its_secrets_is_told_which_and_how() -> None:
    """The host key and the token always, the private key without an agent."""
    with pytest.raises(Problems) as caught:
        read_settings(minimal(), location="westeurope", secrets=())
    assert [problem.path for problem in caught.value.problems] == [
        "mig-k8s:sshHostSecret",
        "mig-k8s:rke2Token",
        "mig-k8s:sshPrivateKey",
    ]
    assert [problem.remedy.partition(", or: ")[2] for problem in caught.value.problems[:2]] == [
        "echo a:$(openssl rand -hex 32) | pulumi config set --secret mig-k8s:sshHostSecret",
        "openssl rand -hex 32 | pulumi config set --secret mig-k8s:rke2Token",
    ]


def test_an_ssh_agent_replaces_the_private_key() -> None:
    """The secrets of the machines are left."""
    ssh = {"publicKey": PUBLIC_KEY, "agentSocketPath": "/run/agent.sock"}
    read_settings(minimal(ssh=ssh), location="westeurope", secrets={"sshHostSecret", "rke2Token"})


def test_a_stack_from_before_machines_had_host_keys_of_their_own_needs_no_other_secret() -> None:
    read_settings(minimal(), location="westeurope", secrets={"sshHostKey", "rke2Token", "sshPrivateKey"})


def test_an_encrypted_value_in_the_wrong_place_is_refused_and_not_shown() -> None:
    """It would end in clear on a machine."""
    stack = minimal(rke2={"config": {"etcd-s3-secret-key": "hunter2"}})
    with pytest.raises(Problems) as caught:
        read_settings(stack, location="westeurope", secrets={*SECRETS, "rke2"})
    assert str(caught.value) == (
        "1 problem in this stack; nothing was made or changed.\n\n"
        "mig-k8s:rke2: (not shown)\n"
        "    holds an encrypted value, which this program would write to the machines in clear\n"
        "    allowed: encrypted values only as sshPrivateKey, sshHostKey, sshHostSecret, sshOtherHostSecret,\n"
        "             rke2Token\n"
        "    do: Write it in clear if it is not a secret; give credentials to the machines by other means."
    )


def test_a_misspelt_secret_is_told_its_name_and_never_shown() -> None:
    """Encrypted or in clear."""
    clear = minimal(rke2Tokn="hunter2", sshPrivatKey="hunter2", vm={"adminPassword": "hunter2"})
    with pytest.raises(Problems) as caught:
        read_settings(clear, location="westeurope", secrets=SECRETS)
    assert {problem.path: (problem.value, problem.remedy) for problem in caught.value.problems} == {
        "mig-k8s:rke2Tokn": ("(not shown)", "Did you mean rke2Token?"),
        "mig-k8s:sshPrivatKey": ("(not shown)", "Did you mean sshPrivateKey?"),
        "mig-k8s:vm.adminPassword": ("(not shown)", "Leave it out."),
    }
    encrypted = minimal(rke2Tokn={"secure": "v1:x"})
    with pytest.raises(Problems) as caught:
        read_settings(encrypted, location="westeurope", secrets={*SECRETS, "rke2Tokn"})
    assert str(caught.value).endswith("mig-k8s:rke2Tokn: (not shown)\n    unknown key\n    do: Did you mean rke2Token?")


def test_a_secret_left_empty_is_one_that_is_not_set() -> None:
    """Nothing was given away."""
    with pytest.raises(Problems) as caught:
        read_settings(minimal(sshHostKey=None), location="westeurope", secrets={"sshPrivateKey", "rke2Token"})
    (problem,) = caught.value.problems
    assert problem.what.startswith("this secret is not set: ")


def test_values_nested_without_end_are_refused_from_the_engine_too() -> None:
    """It gives JSON, whose readers stop at some depth."""
    values: dict[str, Any] = {}
    for _ in range(300):
        values = {"a": values}
    with pytest.raises(Problems) as caught:
        read_settings(minimal(gpuOperator={"values": values}, mig={"strategy": "x"}), location="x", secrets=SECRETS)
    assert {problem.path for problem in caught.value.problems} == {
        "mig-k8s:gpuOperator", "mig-k8s:mig.strategy", "azure-native:location"
    }  # fmt: skip


def test_what_a_file_holds_cannot_steer_the_terminal() -> None:
    """Nor turn the text of a report around."""
    with pytest.raises(Problems) as caught:
        read_settings(minimal(**{"\x1b[31mmig": 1, "\u202egim": 2}), location="westeurope", secrets=SECRETS)
    assert "mig-k8s:\\x1b[31mmig: 1\n" in str(caught.value)
    assert "mig-k8s:\\u202egim: 2\n" in str(caught.value)


def test_a_value_that_is_what_it_must_be_may_be_written() -> None:
    """The chart's own default, spelt out."""
    values = {"cdi": {"nriPluginEnabled": False}}
    read_settings(minimal(gpuOperator={"values": values}), location="westeurope", secrets=SECRETS)


def test_keys_of_rke2_about_secrets_are_not_taken_for_secrets() -> None:
    """Keys whose names have the word in them: how secrets are encrypted, and which files and Secrets hold them."""
    config = {
        "secrets-encryption-provider": "secretbox",
        "kubelet-private-key-file": "/x",
        "etcd-s3-config-secret": "s3",
    }
    read_settings(minimal(rke2={"config": config}), location="westeurope", secrets=SECRETS)


@pytest.mark.parametrize(
    "text", ["v1.33.13+rke2r2", "v1.34.10+rke2r1", "v1.35.7+rke2r1", "v1.36.4+rke2r1", "v1.37.1+rke2r1"]
)
def test_current_rke2_releases_are_right(text: str) -> None:
    """Those seen when the table was made."""
    assert read_settings(minimal(rke2={"version": text}), location="westeurope", secrets=SECRETS).rke2.version == text


@pytest.mark.parametrize("cidrs", [["10.0.0.0/8"], ["203.0.113.0/25", "203.0.113.128/25"], ["198.51.100.4/32"]])
def test_networks_of_an_organisation_are_right(cidrs: list[str]) -> None:
    """Up to a /8."""
    settings = read_settings(minimal(adminCidrs=cidrs), location="westeurope", secrets=SECRETS)
    assert settings.admin_cidrs == tuple(cidrs)


@pytest.mark.parametrize("gap", ["  ", "\t", " \t  "])
@pytest.mark.parametrize("comment", ["", " me@home", "\tme at  home"])
def test_blanks_and_tabs_in_a_key_are_taken_as_sshd_takes_them(gap: str, comment: str) -> None:
    """As many as there are; the comment stays what it is."""
    kind, body = PUBLIC_KEY.split()
    ssh = {"publicKey": f"{kind}{gap}{body}{comment}"}
    found = read_settings(minimal(ssh=ssh), location="westeurope", secrets=SECRETS).ssh.public_key
    assert found == f"{PUBLIC_KEY} {comment.strip()}".strip()


def test_an_rsa_key_of_2048_bits_is_right() -> None:
    """As Azure takes it."""
    key = (
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAABAQDIRQcxMFLg7IrSQDAUBaXA3Sw9HNiZAgEmFPk8sD+1xkJNf0tru5Rs7Wgt8fS5L4zFa1NK"
        "YhOwv3CBjtURRn/XilerVmX69+gWxSm/jkx5kUugO7RmlSYzqAPv008v2iUZxXWUNE7V8uxj9sr6/Cg3pDmrVm889YRDBjxnQUhQ"
        "x+2ycKgRExtU0axjOLREnkG5gUKCKXz8WWgg3eDTD1CC0NrtXAp6EosdJhfvuoUpUh9g16ybwqbCBtEfvhg3dLolatYcR3qqfbBd"
        "9Jy+DOfzxC8RvoYR8kbAu9G0++8/otbDhillr8Ggpc4mXQHczSz43xHFQT057dvXqs5Bdhi1"
    )
    settings = read_settings(minimal(ssh={"publicKey": f"{key} me@home"}), location="westeurope", secrets=SECRETS)
    assert settings.ssh.public_key == f"{key} me@home"


def test_the_template_asks_for_settings_and_secrets_that_exist_and_are_single_values() -> None:
    """`pulumi new` writes each answer down as text: a list or a mapping would be refused afterwards."""
    template = yaml.safe_load((_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["template"]
    assert set(template) == {"displayName", "description", "config", "quickstart"}
    asked: dict[str, dict[str, Any]] = template["config"]
    assert all(set(question) <= {"description", "default", "secret"} for question in asked.values())
    secret = {key for key, question in asked.items() if question.get("secret")}
    assert secret == {key for key in asked if key.removeprefix("mig-k8s:") in SECRET_KEYS}
    location = asked["azure-native:location"]["default"]
    assert set(asked) - secret == {"azure-native:location"}
    told = re.findall(r"mig-k8s:(\w+)", template["quickstart"])
    needed = {"adminCidrs", "ssh", "sshPrivateKey", "sshHostSecret", "rke2Token"}
    assert {key.partition(":")[2] for key in secret} | set(told) == needed
    read_settings(minimal(), location=location, secrets=SECRETS)
