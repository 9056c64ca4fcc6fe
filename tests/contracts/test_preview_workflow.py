"""The workflow for pull requests: pinned, with few permissions, no secrets for forks, and commands that exist."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/workflows/preview.yaml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
RUNS = [step["run"] for _, step in STEPS if "run" in step]


def test_every_action_is_pinned_to_a_commit_and_names_its_release() -> None:
    """A tag can be moved to other code."""
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) == 5
    assert [each for each in used if not re.match(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\b", each)] == []


def test_it_runs_for_pull_requests_only_and_as_the_pull_requests_own_event() -> None:
    """`pull_request_target` and `workflow_run` would hand secrets to the code of a fork."""
    assert set(WORKFLOW[True]) == {"pull_request"}  # YAML 1.1 reads the key `on` as true


def test_permissions_are_those_a_job_needs_and_no_others() -> None:
    """None for what is not named."""
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "plan": {"contents": "read"},
        "comment": {"pull-requests": "write"},
        "preview": {"contents": "read", "id-token": "write"},
    }


def test_secrets_and_writing_are_for_branches_of_this_repository() -> None:
    """And secrets for an environment whose rules somebody sets, in the one step that needs them."""
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in JOBS.items():
        if "secrets." in str(job) or set(job["permissions"].values()) != {"read"}:
            assert job["if"].startswith(own), name
    assert [(name, step["name"]) for name, step in STEPS if "secrets." in str(step)] == [("preview", "pulumi preview")]
    assert JOBS["preview"]["environment"] == "preview"


def test_the_token_that_may_write_meets_no_code_of_the_pull_request() -> None:
    """It neither checks anything out nor runs anything but gh."""
    (step,) = JOBS["comment"]["steps"]
    assert "uses" not in step
    assert set(re.findall(r"^\s*(\w+)", step["run"], re.MULTILINE)) == {"gh"}


def test_no_checkout_leaves_its_token_behind() -> None:
    """In the configuration of git, where any code could read it."""
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]


@pytest.mark.parametrize("script", RUNS)
def test_no_script_has_an_expression_pasted_into_it(script: str) -> None:
    """A branch or file can be named like a command; the environment carries such things."""
    assert "${{" not in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_every_command_of_ours_exists() -> None:
    """Subcommands of `python -m plan`, and files that are named."""
    commands = set(re.findall(r"python -m plan (\w+)", "\n".join(RUNS)))
    assert commands == {"check", "digest", "show"}
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "plan", command, "--help"], cwd=ROOT, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0
    assert (ROOT / "requirements.txt").exists()


def test_the_engine_is_the_one_of_the_requirements() -> None:
    """A preview on GitHub is the preview at home."""
    (installed,) = [step["with"]["pulumi-version"] for _, step in STEPS if "pulumi/actions" in step.get("uses", "")]
    assert f"pulumi=={installed} " in (ROOT / "requirements.txt").read_text(encoding="utf-8")


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """A merge commit that changes, adds and removes a stack, and leaves one alone; Pulumi.yaml is no stack file."""
    stack = (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    folder = tmp_path / "checkout"
    (folder / "examples").mkdir(parents=True)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    git("init", "--initial-branch=main")
    (folder / "Pulumi.gone.yaml").write_text("config: {}\n")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.other.yaml"):
        (folder / name).write_text(stack)
    git("add", ".")
    git("commit", "--message=base")
    git("checkout", "-b", "change")
    (folder / "Pulumi.dev.yaml").write_text(stack.replace("1g.10gb: 1", "1g.10gb: 2"))
    (folder / "Pulumi.yaml").write_text("name: changed\n")
    (folder / "examples/a b.yaml").write_text(stack)
    (folder / "Pulumi.gone.yaml").unlink()
    git("add", ".")
    git("commit", "--message=head")
    git("checkout", "main")
    git("merge", "--no-ff", "change")
    return folder


def step(name: str, folder: Path) -> tuple[int, str, dict[str, str]]:
    """Run a step's script as GitHub does: exit status, output, and what it wrote to GitHub's files."""
    script = next(step["run"] for _, step in STEPS if step.get("name") == name)
    (folder.parent / "bin").mkdir()
    (folder.parent / "bin/python").symlink_to(sys.executable)
    files = {name: folder.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    environment = {**os.environ, **{name: str(path) for name, path in files.items()}}
    environment |= {"RUNNER_TEMP": str(folder.parent), "PYTHONPATH": f"{ROOT}{os.pathsep}{os.pathsep.join(sys.path)}"}
    environment["PATH"] = f"{folder.parent}/bin{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, {n: p.read_text() for n, p in files.items() if p.exists()}


def test_the_digest_of_a_pull_request_tells_what_its_stack_files_change(pull_request: Path) -> None:
    """Changed ones are compared with the base, new ones drawn, others left out."""
    status, said, written = step("python -m plan digest", pull_request)
    assert status == 0, said
    summary = written["GITHUB_STEP_SUMMARY"]
    assert re.findall(r"^### `(.*)`$", summary, re.MULTILINE) == ["Pulumi.dev.yaml", "examples/a b.yaml"]
    assert "makes 1 × 1g.10gb" in summary
    assert "GPU 0  A100-80GB  MIG on" in summary
    name, _, rest = written["GITHUB_OUTPUT"].partition("<<")
    mark, _, value = rest.partition("\n")
    assert name == "digest"
    assert re.fullmatch(r"[0-9a-f]{32}", mark)
    assert value == f"{summary}\n{mark}\n"


def test_a_pull_request_that_touches_no_stack_file_says_so(pull_request: Path) -> None:
    """An empty comment would be refused."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    commit = ["git", *identity, "commit", "--allow-empty", "--message=nothing"]
    subprocess.run(commit, cwd=pull_request, check=True, capture_output=True, timeout=60)
    status, said, written = step("python -m plan digest", pull_request)
    assert status == 0, said
    assert written["GITHUB_STEP_SUMMARY"] == "No stack file changes.\n"


def test_one_wrong_stack_file_fails_the_check_and_the_others_are_checked_all_the_same(pull_request: Path) -> None:
    """With the report its author needs."""
    (pull_request / "Pulumi.dev.yaml").write_text("config: {}\n")
    status, said, _ = step("python -m plan check", pull_request)
    assert status == 1
    assert "azure-native:location\n    required, and not there" in said
    assert "examples/a b.yaml: all well" in said
