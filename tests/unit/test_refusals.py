"""Every stack in refusals/ is refused for exactly the problems written there: nothing missing, nothing besides.

A case says of each problem where it is, which rule of the program refuses it (module and function) and what is allowed.
How each refusal is worded stands once, in refusals/report.txt: one report with the first problem of each refusal in the
code. Where the words of a case are not those, or its rule knows several refusals, `says` has the part that tells, and
`do` the way out.
"""

import ast
import contextlib
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import SECRETS, minimal
from wrong_stacks import PLAN, WrongStacks, read_wrong_stacks

import plan.rules
from plan import Problems, read_settings
from plan.rules import RULES

_REFUSALS = Path(__file__).parent / "refusals"
_CASES: list[dict[str, Any]] = [
    {**case, "name": f"{file.stem}: {case['case']}"}
    for file in sorted(_REFUSALS.glob("*.yaml"))
    for case in yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
]


@pytest.fixture(scope="module")
def wrong_stacks() -> WrongStacks:
    return read_wrong_stacks(_CASES, _read)


def _read(case: dict[str, Any]) -> None:
    read_settings(minimal(**case["stack"]), location=case.get("location", "westeurope"), secrets=SECRETS)


@pytest.mark.parametrize("number", range(len(_CASES)), ids=[case["name"] for case in _CASES])
def test_a_wrong_stack_is_refused_for(number: int, wrong_stacks: WrongStacks) -> None:
    problems, expected = wrong_stacks.problems[number], _CASES[number]["refused"]
    assert [
        (f"{each.path}: {each.value}" if each.value else each.path, wrong_stacks.place(each).rule, each.allowed)
        for each in problems
    ] == [(each["at"], each["rule"], "".join(each.get("allowed", ""))) for each in expected]
    first = wrong_stacks.first()
    for problem, each in zip(problems, expected, strict=True):
        place = wrong_stacks.place(problem)
        says = each.get("says", [])
        parts = [says] if isinstance(says, str) else [str(part) for part in says]
        assert [part for part in parts if part not in problem.what] == []
        assert parts or problem.what == first[place].what, "`says` is due: its words are not those of report.txt"
        others = [other.what for at, other in first.items() if at.rule == place.rule and at != place]
        unclear = [what for what in others if all(part in what for part in parts)]
        assert unclear == [], "`says` has to tell which refusal of the rule it is"
        assert problem.remedy == each.get("do", first[place].remedy)


def test_the_words_of_every_refusal_are_those_of_the_report(wrong_stacks: WrongStacks, tmp_path: Path) -> None:
    """One report with one problem of each kind, as the author of such a stack reads it."""
    seen = str(Problems(wrong_stacks.first().values())) + "\n"
    held = (_REFUSALS / "report.txt").read_text(encoding="utf-8")
    difference = "".join(difflib.unified_diff(held.splitlines(keepends=True), seen.splitlines(keepends=True)))
    (tmp_path / "report.txt").write_text(seen, encoding="utf-8")
    assert not difference, f"{difference}\nIf these words are meant, copy {tmp_path}/report.txt over it."


@pytest.mark.parametrize("number", range(len(_CASES)), ids=[case["name"] for case in _CASES])
def test_no_line_of_a_report_is_wider_than_100_columns(number: int, wrong_stacks: WrongStacks) -> None:
    """But one that is a single long word."""
    for line in str(Problems(wrong_stacks.problems[number])).splitlines():
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
    """There is no strategy that the layouts could be checked against."""
    text = report(mig={"strategy": "mixt"}, nodePools=[{"migDevices": {"3g.40gb": 1, "1g.10gb": 1}}])
    assert text == (
        "1 problem in this stack; nothing was made or changed.\n\n"
        "mig-k8s:mig.strategy: mixt\n"
        "    not one of the values\n"
        "    allowed: none, single, mixed\n"
        "    do: Write mixed."
    )


def test_every_refusal_in_the_code_is_met_by_a_case(wrong_stacks: WrongStacks) -> None:
    """A check without a case could be dropped without anybody noticing."""
    files = [*(PLAN / "stack_file").rglob("*.py"), *(PLAN / "rules").glob("*.py")]
    written = {(str(file), line) for file in files for line in _refusals(file)}
    assert len(written) > 60
    met = {(place.file, place.line) for place in wrong_stacks.refusals}
    unmet = [f"{Path(file).name}:{line}" for file, line in sorted(written - met)]
    assert unmet == []


def _refusals(file: Path) -> list[int]:
    """The lines on which a Refusal is made."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Refusal"]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_no_rule_can_be_left_out(number: int, wrong_stacks: WrongStacks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, some stack of the cases would be let through."""
    monkeypatch.setattr(plan.rules, "RULES", (*RULES[:number], *RULES[number + 1 :]))
    for case in wrong_stacks.refused_by.get(number, []):
        with contextlib.suppress(Problems):
            _read(_CASES[case])
            return
    pytest.fail(f"no case depends on {RULES[number][0].__name__}")
