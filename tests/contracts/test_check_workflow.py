"""The workflow that runs the tests on pull requests: pinned, reading only, and with commands that exist."""

import re
from typing import Any

import yaml

from stacks import REPOSITORY

FOLDER = REPOSITORY / ".github/workflows"
TEXT = (FOLDER / "check.yaml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
USES = re.compile(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)\b")


def test_every_action_is_pinned_to_a_commit_the_same_one_in_all_workflows() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(FOLDER.iterdir()))
    pins = USES.findall(text)
    assert len(pins) == len(re.findall(r"uses:", text))
    assert len(set(pins)) == len({action for action, _ in pins})


def test_it_runs_for_pull_requests_reads_only_and_knows_no_secret() -> None:
    assert set(WORKFLOW[True]) == {"pull_request"}  # YAML 1.1 reads the key `on` as true
    assert WORKFLOW["permissions"] == {}
    assert [job["permissions"] for job in JOBS.values()] == [{"contents": "read"}] * 3
    assert "secrets." not in TEXT
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "checkout@" in step.get("uses", "")]
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False}] * 3


def test_its_jobs_are_make_check_make_engine_and_the_machine_package_on_its_oldest_python() -> None:
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in JOBS.items()}
    assert (runs["check"], runs["engine"]) == (["make check"], ["make engine"])
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^check:", makefile, re.MULTILINE)
    assert re.search(r"^engine:", makefile, re.MULTILINE)
    (named,) = re.findall(r"--requirement (\S+)", "\n".join(runs["machine"]))
    assert (REPOSITORY / named).is_file()
    pythons = {
        name: step["with"]["python-version"]
        for name, job in JOBS.items()
        for step in job["steps"]
        if "setup-python@" in step.get("uses", "")
    }
    assert pythons == {"check": "3.11", "engine": "3.11", "machine": "3.10"}


def test_no_script_has_an_expression_pasted_into_it() -> None:
    assert not [step["run"] for job in JOBS.values() for step in job["steps"] if "${{" in step.get("run", "")]
