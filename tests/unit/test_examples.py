"""Every example, and the development stack, from check to picture."""

import base64
import gzip
import json
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import addresses

from machine.documents.configuration import Configuration
from plan import HostKey, StackPlan, configuration, plan_stack, read_settings, user_data
from plan.machine.user_data import _RELEASE_BYTES, _release_packed, user_data_bytes
from plan.report.drawing import draw
from plan.report.summary import summary
from plan.report.svg import picture
from plan.stack_file.document import read_stack_file

_ROOT = Path(__file__).parents[2]
_KEY = base64.b64encode(random.Random(1).randbytes(299)).decode()  # noqa: S311 - opens nothing
_FILES = [*sorted((_ROOT / "examples").glob("*.yaml")), _ROOT / "Pulumi.dev.yaml"]


def _stack(path: Path) -> StackPlan:
    file = read_stack_file(path)
    return plan_stack(read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False))


@pytest.fixture(params=_FILES, ids=lambda path: path.name)
def stack(request: pytest.FixtureRequest) -> StackPlan:
    """Every stack file of the repository."""
    return _stack(request.param)


def test_all_kinds_of_stack_have_an_example() -> None:
    """Those the documentation names."""
    assert {path.name for path in _FILES} >= {
        "none.yaml",
        "none-mig-on.yaml",
        "single.yaml",
        "Pulumi.dev.yaml",
        "h100.yaml",
        "h200.yaml",
        "a100-40.yaml",
        "two-gpus.yaml",
        "operator-owned.yaml",
        "air-gapped.yaml",
        "spot.yaml",
        "cluster.yaml",
    }


def test_user_data_has_at_most_45_kb(stack: StackPlan) -> None:
    """Gzipped, which leaves 20 kB of what Azure takes to what a stack writes into it."""
    for node in stack.nodes:
        packed = user_data(node, addresses(node), HostKey(_KEY, "k" * 80))
        assert len(packed) <= 45_000
        assert set(yaml.safe_load(gzip.decompress(packed))) == {"ssh_deletekeys", "ssh_keys", "write_files", "runcmd"}


def test_the_size_of_user_data_is_that_of_a_machine_whose_key_does_not_shrink(stack: StackPlan) -> None:
    """A private key is random: a sample of one letter would give hundreds of bytes too few."""
    node = stack.nodes[0]
    packed = user_data(node, addresses(node), HostKey(_KEY, "k" * 80))
    assert abs(len(packed) - user_data_bytes(node)) < 100


def test_the_release_takes_no_more_of_the_user_data_than_is_counted_for_it() -> None:
    """Or a stack could be taken whose user-data Azure refuses."""
    packed, _ = _release_packed()
    assert len(packed) < _RELEASE_BYTES < 45_000


def test_configurations_say_so_in_json(stack: StackPlan) -> None:
    """A document that the machine reads back."""
    for node in stack.nodes:
        wanted = configuration(node, addresses(node))
        assert Configuration.from_json(wanted.to_json()) == wanted


def test_the_data_of_a_plan_survives_json_and_fills_every_key(stack: StackPlan) -> None:
    """Nothing in it is of a type JSON does not have."""
    data = summary(stack)
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("width", [80, 100])
def test_a_drawing_is_as_wide_as_the_terminal_at_most(stack: StackPlan, width: int) -> None:
    """80 columns, and 100 for a code block in a pull request; commands stay in one piece, to be copied."""
    lines = draw(summary(stack), colour=False, width=width).splitlines()
    assert [line for line in lines if len(line) > width and not re.search(r"nvidia-smi mig |az vm ", line)] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_networks_of_administrators_are_drawn_as_the_rules_will_have_them(tmp_path: Path) -> None:
    """What overlaps or repeats is merged."""
    path = tmp_path / "Pulumi.office.yaml"
    text = (_ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    assert "203.0.113.7/32" in text
    path.write_text(text.replace("203.0.113.7/32", "203.0.113.7/32, 203.0.113.0/24, 198.51.100.4/32, 198.51.100.4/32"))
    drawn = draw(summary(_stack(path)), colour=False)
    assert "\nSSH and the Kubernetes API from 198.51.100.4/32, 203.0.113.0/24\n" in drawn


def test_the_lines_of_a_gpus_box_are_equally_long(stack: StackPlan) -> None:
    """Also around a profile that is longer than its slot."""
    lines = draw(summary(stack), colour=False).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  ┌"):
            assert len({len(part) for part in lines[number : number + 3]}) == 1


def test_a_profile_longer_than_its_slot_is_shortened_in_the_box_and_whole_below() -> None:
    """1g.5gb+me in eight columns."""
    drawn = draw(summary(_stack(_ROOT / "examples" / "a100-40.yaml")), colour=False)
    assert "│ 1g.5gb │ 1g+me  │     1g.10gb     │" in drawn
    assert "  1g.5gb+me    20  5:1          14  nvidia.com/mig-1g.5gb.me\n" in drawn


def test_pods_that_see_the_same_are_one_line() -> None:
    """Eight GPUs have forty of them."""
    drawn = draw(summary(_stack(_ROOT / "examples" / "a100-40.yaml")), colour=False, width=80)
    assert (
        "  pods          mig-mixed-2g-10gb-0 to -15, each sees 2g.10gb\n"
        "                mig-mixed-1g-10gb-0 to -7, each sees 1g.10gb\n"
    ) in drawn


def test_what_only_azure_knows_comes_with_the_command_that_asks_it() -> None:
    """Each size once, the cores of all its machines together."""
    data = summary(_stack(_ROOT / "examples" / "cluster.yaml"))
    assert data["askAzure"] == [
        {
            "question": "Is Standard_D4s_v5 sold in westeurope, to this subscription?",
            "command": "az vm list-skus --location westeurope --size Standard_D4s_v5 --all --output table",
        },
        {
            "question": "Are 12 vCPUs left in the quota for Standard_D4s_v5?",
            "command": "az vm list-usage --location westeurope --output table",
        },
        {
            "question": "Is Standard_NC24ads_A100_v4 sold in westeurope, to this subscription?",
            "command": "az vm list-skus --location westeurope --size Standard_NC24ads_A100_v4 --all --output table",
        },
        {
            "question": "Are 72 vCPUs left in the quota for Standard_NC24ads_A100_v4?",
            "command": "az vm list-usage --location westeurope --output table",
        },
    ]
    assert draw(data, colour=False).endswith(
        "\n\nOnly Azure knows\n"
        "  Is Standard_D4s_v5 sold in westeurope, to this subscription?\n"
        "    az vm list-skus --location westeurope --size Standard_D4s_v5 --all --output table\n"
        "  Is Standard_NC24ads_A100_v4 sold in westeurope, to this subscription?\n"
        "    az vm list-skus --location westeurope --size Standard_NC24ads_A100_v4 --all --output table\n"
        "  Are 12 vCPUs left in the quota for Standard_D4s_v5?\n"
        "  Are 72 vCPUs left in the quota for Standard_NC24ads_A100_v4?\n"
        "    az vm list-usage --location westeurope --output table\n"
    )


def test_spot_machines_have_a_quota_of_their_own() -> None:
    """Azure counts them apart."""
    questions = [each["question"] for each in summary(_stack(_ROOT / "examples" / "spot.yaml"))["askAzure"]]
    assert questions[1] == "Are 24 spot vCPUs left in the quota for Standard_NC24ads_A100_v4?"


def test_colour_changes_no_character(stack: StackPlan) -> None:
    """It is only around the text."""
    data = summary(stack)
    assert re.sub(r"\033\[[0-9;]*m", "", draw(data, colour=True)) == draw(data, colour=False)


def test_a_picture_is_an_svg_of_every_gpu(stack: StackPlan) -> None:
    """Well-formed, with a title per GPU."""
    data = summary(stack)
    root = ET.fromstring(picture(data))  # noqa: S314 - our own text
    titles = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text]
    gpus = sum(len(node["gpus"]) for node in data["nodes"])
    assert sum(title.startswith("GPU ") for title in titles) == gpus


def test_an_example_says_nothing_that_is_a_default_of_its_own() -> None:
    """No example carries a secret, not even an encrypted one."""
    for path in _FILES:
        config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        assert not {"mig-k8s:sshPrivateKey", "mig-k8s:sshHostKey", "mig-k8s:rke2Token"} & set(config)


def test_the_development_stack_is_the_tutorials_machine() -> None:
    """Name, size, strategy, layout."""
    (node,) = summary(_stack(_ROOT / "Pulumi.dev.yaml"))["nodes"]
    assert (node["name"], node["vmSize"]) == ("mlops-k8s-master", "Standard_NC24ads_A100_v4")
    assert node["allocatable"] == {
        "nvidia.com/mig-3g.40gb": 1,
        "nvidia.com/mig-2g.20gb": 1,
        "nvidia.com/mig-1g.10gb": 1,
    }


@pytest.mark.parametrize(
    ("file", "allocatable"),
    [
        ("single.yaml", {"nvidia.com/gpu": 7}),
        ("none.yaml", {"nvidia.com/gpu": 1}),
        ("none-mig-on.yaml", {"nvidia.com/gpu": 1}),
    ],
)
def test_the_tutorials_other_stacks_offer_what_it_prints(file: str, allocatable: dict[str, int]) -> None:
    """kubectl describe node."""
    (node,) = summary(_stack(_ROOT / "examples" / file))["nodes"]
    assert node["allocatable"] == allocatable
