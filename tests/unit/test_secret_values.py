"""Values of the GPU Operator that may be secret stand in no report: not in `plan show`, the digest or a refusal."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from plan import StackPlan
from plan.report.digest import digest
from plan.report.drawing import draw
from plan.report.page import page
from plan.report.summary import summary

Planned = Callable[..., StackPlan]
Report = Callable[..., str]
VARIABLE = {"dcgmExporter": {"env": [{"name": "DCGM_PASS", "value": "tell-nobody"}]}}
SECRET = [
    VARIABLE,
    {"operator": {"labels": {"apiToken": "tell-nobody"}}},
    {"operator": {"labels": {"licenseKey": "tell-nobody", "password": "tell-nobody"}}},
    {"operator": {"annotations": {"clientSecret": ["tell-nobody"]}}},
]


@pytest.mark.parametrize("values", SECRET)
def test_no_report_of_a_plan_shows_them(planned: Planned, values: dict[str, Any]) -> None:
    stack = planned(gpuOperator={"values": values})
    told = summary(stack)
    for report in (
        json.dumps(told),
        draw(told, colour=False),
        page(told, "Pulumi.dev.yaml", digest=digest(planned(), stack)),
        digest(planned(), stack),
        digest(stack, planned()),
        repr(stack.nodes),
    ):
        assert "tell-nobody" not in report
    assert "(not shown)" in json.dumps(told["gpuOperator"]["values"])
    assert "(not shown)" in digest(planned(), stack)


def test_the_name_of_a_variable_and_what_it_refers_to_are_shown(planned: Planned) -> None:
    reference = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "dcgm", "key": "password"}}}
    variables = [{"name": "A", "value": "tell-nobody"}, reference]
    told = summary(planned(gpuOperator={"values": {"dcgmExporter": {"env": variables}}}))
    assert told["gpuOperator"]["values"]["dcgmExporter"]["env"] == [{"name": "A", "value": "(not shown)"}, reference]


def test_a_value_that_is_not_secret_is_shown_as_it_is(planned: Planned) -> None:
    values = {
        "daemonsets": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]},
        "dcgmExporter": {"enabled": True, "imagePullSecrets": ["registry"]},
        "operator": {"affinity": {"topologyKey": "kubernetes.io/hostname"}},
    }
    told = summary(planned(gpuOperator={"values": values}))["gpuOperator"]["values"]
    assert told["daemonsets"] == values["daemonsets"]
    assert told["dcgmExporter"] == values["dcgmExporter"]
    assert told["operator"] == values["operator"]


def test_a_change_of_one_is_still_a_change(planned: Planned) -> None:
    other = {"dcgmExporter": {"env": [{"name": "DCGM_PASS", "value": "tell-nobody-else"}]}}
    said = digest(planned(gpuOperator={"values": VARIABLE}), planned(gpuOperator={"values": other}))
    assert "tell-nobody" not in said
    assert (
        "- `gpuOperator.values.dcgmExporter.env`: [{'name': 'DCGM_PASS', 'value': (not shown)}] → "
        "[{'name': 'DCGM_PASS', 'value': (not shown)}]" in said
    )
    assert digest(planned(gpuOperator={"values": VARIABLE}), planned(gpuOperator={"values": VARIABLE})) == (
        "Nothing changes.\n"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"dcgmExporter": {"env": {"DCGM_PASS": "tell-nobody"}}},
        {"dcgmExporter": {"env": "DCGM_PASS=tell-nobody"}},
        {"dcgmExporter": {"enabled": [{"name": "API_TOKEN", "value": "tell-nobody"}]}},
        {"dcgmExporter": {"unknown": {"env": [{"name": "A", "value": "tell-nobody"}]}}},
        {"driver": {"env": [{"name": "A", "value": "tell-nobody"}]}},
    ],
)
def test_no_refusal_shows_them(report: Report, values: dict[str, Any]) -> None:
    said = report(gpuOperator={"values": values})
    assert "mig-k8s:gpuOperator.values." in said
    assert "tell-nobody" not in said
