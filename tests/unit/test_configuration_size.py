"""A configuration that the language host cannot pass on is refused; one that it can never is."""

import base64
import json

import pytest

from plan import Problems
from plan.stack_file.configuration_size import size_problems, variable_bytes
from plan.stack_file.document import parse

EMPTY = 14 + 2 + 1
"""`PULUMI_CONFIG=`, `{}` and the zero byte."""


def filled(size: int) -> dict[str, object]:
    """A configuration of that many bytes in the variable: `"padding:text":"…"` takes 17 besides the text."""
    return {"padding:text": "x" * (size - EMPTY - 17)}


@pytest.mark.parametrize(
    ("config", "variable"),
    [
        ({}, "PULUMI_CONFIG={}"),
        ({"azure-native:location": "westeurope"}, 'PULUMI_CONFIG={"azure-native:location":"westeurope"}'),
        ({"mig": {"strategy": "mixed"}}, r'PULUMI_CONFIG={"mig-k8s:mig":"{\"strategy\":\"mixed\"}"}'),
        ({"a:b": [1, 2.0, 2.5, True, None]}, 'PULUMI_CONFIG={"a:b":"[1,2,2.5,true,null]"}'),
        ({"a:b": 7, "a:c": False}, 'PULUMI_CONFIG={"a:b":"7","a:c":"false"}'),
        ({"a:b": "<&>"}, r'PULUMI_CONFIG={"a:b":"\u003c\u0026\u003e"}'),
        ({"a:b": ["<"]}, r'PULUMI_CONFIG={"a:b":"[\"\\u003c\"]"}'),
        ({"a:b": "é\n"}, r'PULUMI_CONFIG={"a:b":"é\n"}'),
    ],
)
def test_the_variable_is_what_the_host_makes_of_it(config: dict[str, object], variable: str) -> None:
    assert variable_bytes(config, project="mig-k8s") == len(variable.encode()) + 1


def test_131072_bytes_pass_and_one_more_is_refused() -> None:
    assert size_problems(filled(131072), project="mig-k8s") == []
    (problem,) = size_problems(filled(131073), project="mig-k8s")
    assert "131073 bytes as Pulumi gives it to this program" in problem.what
    assert problem.allowed == "at most 131072 bytes"


def test_the_report_names_the_largest_keys_and_the_way_out() -> None:
    config = {
        "azure-native:location": "westeurope",
        "mig-k8s:gpuOperator": {"values": {"x": "y" * 120_000}},
        "mig-k8s:rke2": {"config": {"z": "w" * 20_000}},
    }
    with pytest.raises(Problems) as caught:
        parse(json.dumps({"config": config, "confg": {}}), name="Pulumi.x.yaml")
    report = " ".join(str(caught.value).split())
    assert "2 problems in this stack" in report
    assert "mig-k8s:gpuOperator (120027 bytes), mig-k8s:rke2 (20027 bytes), azure-native:location (12 bytes)" in report
    assert "do: Take out of these keys what only repeats a default" in report


def encrypted(length: int, head: str = "v1:bm9uY2Vub25jZQ==:") -> dict[str, str]:
    """A text of that many bytes as a stack file has it: AES-GCM adds a tag of 16 bytes."""
    return {"secure": head + base64.b64encode(bytes(length + 16)).decode()}


def test_a_secret_counts_as_its_text_and_not_as_its_longer_encrypted_form() -> None:
    text = 131072 - EMPTY - 17
    assert size_problems({"padding:text": encrypted(text)}, project="mig-k8s") == []
    assert size_problems({"padding:text": encrypted(text + 1)}, project="mig-k8s") != []
    assert size_problems({"padding:text": {"a": encrypted(text)}}, project="mig-k8s") != []


@pytest.mark.parametrize("head", ["", "vault:v1:"])
def test_a_secret_in_a_form_of_the_providers_own_is_refused_only_when_it_is_too_large_in_any_case(head: str) -> None:
    assert size_problems({"padding:text": encrypted(131072, head)}, project="mig-k8s") == []
    assert size_problems({"padding:text": encrypted(131072 + 256, head)}, project="mig-k8s") != []


def test_what_is_not_base64_is_not_counted() -> None:
    assert size_problems({"padding:text": {"secure": "?" * 200_000}}, project="mig-k8s") == []
