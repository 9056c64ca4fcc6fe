"""The GPU Operator's chart of the sandbox through the real `helm template`. No cluster, no root."""

import subprocess
from typing import Any

import pytest
import yaml

from sandbox.gpu_operator.release import CHART, IMAGES
from sandbox.tools import toolchain

pytestmark = pytest.mark.engine

HOST_OWNED = ("driver.enabled=false", "toolkit.enabled=false", "migManager.enabled=false")


def template(*settings: str) -> subprocess.CompletedProcess[str]:
    command = [str(toolchain.helm()), "template", "gpu-operator", str(CHART), "--namespace", "gpu-operator"]
    flags = [word for setting in settings for word in ("--set", setting)]
    return subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60, check=False)


def rendered(*settings: str) -> list[dict[str, Any]]:
    done = template(*settings)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def policy(*settings: str) -> dict[str, Any]:
    (found,) = [document["spec"] for document in rendered(*settings) if document["kind"] == "ClusterPolicy"]
    assert isinstance(found, dict)
    return found


def test_the_default_strategy_is_single() -> None:
    assert policy(*HOST_OWNED)["mig"] == {"strategy": "single"}


def test_the_strategy_reaches_the_policy() -> None:
    assert policy(*HOST_OWNED, "mig.strategy=mixed")["mig"] == {"strategy": "mixed"}


def test_a_misspelt_key_is_ignored_as_by_the_real_chart() -> None:
    assert policy(*HOST_OWNED, "mig.stratgy=mixed")["mig"]["strategy"] == "single"


def test_an_empty_default_of_mig_manager_stays_an_empty_text() -> None:
    assert policy(*HOST_OWNED, "migManager.config.default=")["migManager"]["config"] == {"name": "", "default": ""}


def test_environment_of_an_operand_reaches_the_policy() -> None:
    settings = ("gfd.env[0].name=GFD_SLEEP_INTERVAL", "gfd.env[0].value=1s")

    assert policy(*HOST_OWNED, *settings)["gfd"]["env"] == [{"name": "GFD_SLEEP_INTERVAL", "value": "1s"}]


@pytest.mark.parametrize(
    ("component", "words"),
    [
        ("driver", "cannot install a driver from a container"),
        ("toolkit", "cannot install a toolkit from a container"),
    ],
)
def test_what_cannot_be_stood_in_for_is_refused_with_the_way_out(component: str, words: str) -> None:
    done = template(*HOST_OWNED, f"{component}.enabled=true")

    assert done.returncode == 1
    assert words in done.stderr
    assert f"set {component}.enabled=false" in done.stderr


def test_a_mig_manager_with_a_configuration_to_create_wants_its_name_and_its_key() -> None:
    create = (*HOST_OWNED[:2], "migManager.config.create=true")

    assert template(*create, r"migManager.config.data.config\.yaml=version: v1").returncode == 1
    assert template(*create, "migManager.config.name=ours").returncode == 1


def test_the_policy_of_the_defaults_names_only_images_the_mirror_has() -> None:
    documents = rendered(*HOST_OWNED)
    spec = policy(*HOST_OWNED)

    named = {
        f"{part['repository']}/{part['image']}:{part['version']}"
        for part in (spec["devicePlugin"], spec["gfd"], spec["validator"], spec["migManager"])
    }
    for document in documents:
        if document["kind"] in ("DaemonSet", "Deployment"):
            named |= {container["image"] for container in document["spec"]["template"]["spec"]["containers"]}
    assert named == set(IMAGES)


def test_without_node_feature_discovery_no_worker_is_deployed() -> None:
    def workers(*settings: str) -> list[str]:
        return [document["metadata"]["name"] for document in rendered(*settings) if document["kind"] == "DaemonSet"]

    assert workers(*HOST_OWNED) == ["gpu-operator-node-feature-discovery-worker"]
    assert workers(*HOST_OWNED, "nfd.enabled=false") == []
