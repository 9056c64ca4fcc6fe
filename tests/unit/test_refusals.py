"""Every stack in refusals/ is refused with exactly the report written there: nothing missing, nothing besides."""

import ast
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from minimal_stack import SECRETS, minimal

import plan.rules
from plan import Problems, read_settings
from plan.problems import Problem
from plan.rules import RULES, Rule
from plan.stack_file.settings import Settings

_PLAN = Path(__file__).parents[2] / "plan"
_CASES: list[dict[str, Any]] = [
    {**case, "name": f"{file.stem}: {case['case']}"}
    for file in sorted((Path(__file__).parent / "refusals").glob("*.yaml"))
    for case in yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
]


@dataclass
class Judged:
    """All cases, read once: the report on each, the lines of code met on the way, and which cases a rule refuses."""

    reports: list[str] = field(default_factory=list)
    met: set[tuple[str, int]] = field(default_factory=set)
    refused_by: dict[int, list[int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def judged() -> Judged:
    made = Judged()

    def trace(frame: FrameType, event: str, _: object) -> object:
        if event == "call" and not frame.f_code.co_filename.startswith(str(_PLAN)):
            return None
        made.met.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    def noted(number: int, rule: Rule) -> Rule:
        def judge(settings: Settings) -> Iterator[Problem]:
            for problem in rule(settings):
                made.refused_by.setdefault(number, []).append(len(made.reports))
                yield problem

        return judge

    before = sys.gettrace()
    with pytest.MonkeyPatch.context() as patched:
        rules = [(noted(number, rule), reads) for number, (rule, reads) in enumerate(RULES)]
        patched.setattr(plan.rules, "RULES", tuple(rules))
        sys.settrace(trace)
        try:
            for case in _CASES:
                with pytest.raises(Problems) as caught:
                    _read(case)
                made.reports.append(str(caught.value))
        finally:
            sys.settrace(before)
    return made


def _read(case: dict[str, Any]) -> None:
    read_settings(minimal(**case["stack"]), location=case.get("location", "westeurope"), secrets=SECRETS)


@pytest.mark.parametrize("number", range(len(_CASES)), ids=[case["name"] for case in _CASES])
def test_the_author_of_a_wrong_stack_reads(number: int, judged: Judged) -> None:
    """The whole report, word for word; at 100 columns no line is wider but one that is a single long word."""
    says = _CASES[number]["says"].rstrip("\n")
    assert judged.reports[number] == says
    for line in says.splitlines():
        assert len(line) <= 100 or " " not in line.strip()


def test_every_kind_of_wrong_stack_named_in_the_facts_has_cases() -> None:
    """The files are found, and hold what they held when this was written."""
    assert len(_CASES) >= 140


def test_all_problems_of_a_stack_come_in_one_report(report: Callable[..., str]) -> None:
    """A broken section hides neither the others nor what takes two sound sections to see."""
    text = report(
        location="West Europe",
        adminCidrs=["0.0.0.0/0"],
        ssh={"publicKey": "ssh-dss AAAA"},
        mig={"strategy": "none"},
        nodePools=[
            {"name": "a", "migDevices": {"1g.10gb": 7}},
            {"name": "b", "role": "agent", "vmSize": "Standard_NC16as_T4_v3", "migDevices": {"1g.5gb": 1}},
            {"name": "c", "role": "agent", "migDevices": {"1g.5gb": 7}},
        ],
        rke2={"version": "stable"},
    )
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == [
        "8 problems in this stack; nothing was made or changed.",
        "azure-native:location: West Europe",
        "mig-k8s:ssh.publicKey: ssh-dss AAAA",
        "mig-k8s:nodePools[1].vmSize: Standard_NC16as_T4_v3",
        "mig-k8s:rke2.version: stable",
        "mig-k8s:nodePools[2].migDevices: {1g.5gb: 7}",
        "mig-k8s:nodePools[0].migDevices: {1g.10gb: 7}",
        "mig-k8s:nodePools[2].migDevices: {1g.5gb: 7}",
        "mig-k8s:adminCidrs: [0.0.0.0/0]",
    ]


def test_a_broken_strategy_says_nothing_about_layouts(report: Callable[..., str]) -> None:
    """Against which strategy would it be judged?"""
    text = report(mig={"strategy": "mixt"}, nodePools=[{"migDevices": {"3g.40gb": 1, "1g.10gb": 1}}])
    assert text == (
        "1 problem in this stack; nothing was made or changed.\n\n"
        "mig-k8s:mig.strategy: mixt\n"
        "    not one of the values\n"
        "    allowed: none, single, mixed\n"
        "    do: Write mixed."
    )


def test_every_refusal_in_the_code_is_met_by_a_case(judged: Judged) -> None:
    """A check without a case could be dropped without anybody noticing."""
    files = [*(_PLAN / "stack_file").rglob("*.py"), *(_PLAN / "rules").glob("*.py")]
    written = {(str(file), line) for file in files for line in _refusals(file)}
    assert len(written) > 60
    unmet = [f"{Path(file).name}:{line}" for file, line in sorted(written - judged.met)]
    assert unmet == []


def _refusals(file: Path) -> list[int]:
    """The lines on which a Refusal is made."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Refusal"]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_no_rule_can_be_left_out(number: int, judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, some stack of the cases would be let through."""
    monkeypatch.setattr(plan.rules, "RULES", (*RULES[:number], *RULES[number + 1 :]))
    for case in judged.refused_by.get(number, []):
        with contextlib.suppress(Problems):
            _read(_CASES[case])
            return
    pytest.fail(f"no case depends on {RULES[number][0].__name__}")
