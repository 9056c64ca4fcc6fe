"""Wrong stacks, read once: which problems each has, and where in the program each problem is made."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import plan.rules
from plan import Problems
from plan.problems import Problem, Refusal
from plan.rules import RULES, Rule
from plan.stack_file.settings import Settings

PLAN = Path(__file__).parents[2] / "plan"


@dataclass(frozen=True)
class Place:
    """A line of the program that makes a refusal or a problem."""

    file: str
    line: int
    function: str

    @property
    def rule(self) -> str:
        """Module and function, as the cases name it."""
        return f"{Path(self.file).stem}.{self.function.partition('.<locals>')[0]}"


@dataclass
class WrongStacks:
    """What was found in all cases: the problems of each, the lines that made them, and which cases a rule refuses."""

    problems: list[tuple[Problem, ...]] = field(default_factory=list)
    refusals: set[Place] = field(default_factory=set)
    refused_by: dict[int, list[int]] = field(default_factory=dict)
    made: dict[int, tuple[Place, Problem]] = field(default_factory=dict)
    """By identity, since two problems may be equal."""

    def place(self, problem: Problem) -> Place:
        return self.made[id(problem)][0]

    def first(self) -> dict[Place, Problem]:
        """The first problem that each line has made."""
        firsts: dict[Place, Problem] = {}
        for problem in (problem for problems in self.problems for problem in problems):
            firsts.setdefault(self.place(problem), problem)
        return firsts


def read_wrong_stacks(cases: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], object]) -> WrongStacks:
    """Read every case, each of which must be refused."""
    found = WrongStacks()
    refuse, note, at = Refusal.__init__, Problem.__init__, Refusal.at
    refused: dict[int, tuple[Place, Refusal]] = {}

    def refusing(refusal: Refusal, *args: Any, **named: Any) -> None:  # noqa: ANN401 - whatever it takes
        refuse(refusal, *args, **named)
        refused[id(refusal)] = (_place(), refusal)
        found.refusals.add(refused[id(refusal)][0])

    def noting(problem: Problem, *args: Any, **named: Any) -> None:  # noqa: ANN401 - whatever it takes
        note(problem, *args, **named)
        found.made[id(problem)] = (_place(), problem)

    def becoming(refusal: Refusal, path: str, value: str) -> Problem:
        problem = at(refusal, path, value)
        found.made[id(problem)] = (refused[id(refusal)][0], problem)
        return problem

    def noted(number: int, rule: Rule) -> Rule:
        def noted_rule(settings: Settings) -> Iterator[Problem]:
            for problem in rule(settings):
                found.refused_by.setdefault(number, []).append(len(found.problems))
                yield problem

        return noted_rule

    with pytest.MonkeyPatch.context() as patched:
        rules = [(noted(number, rule), reads) for number, (rule, reads) in enumerate(RULES)]
        patched.setattr(plan.rules, "RULES", tuple(rules))
        patched.setattr(Refusal, "__init__", refusing)
        patched.setattr(Refusal, "at", becoming)
        patched.setattr(Problem, "__init__", noting)
        for case in cases:
            with pytest.raises(Problems) as caught:
                read(case)
            found.problems.append(caught.value.problems)
    return found


def _place() -> Place:
    """The nearest caller in plan/, but for the module of problems itself."""
    frame = sys._getframe(2)
    while Path(frame.f_code.co_filename).name == "problems.py" or not frame.f_code.co_filename.startswith(str(PLAN)):
        assert frame.f_back, "made outside of plan/"
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
