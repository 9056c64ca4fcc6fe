"""The workflow for pull requests: pinned, with few permissions, no secrets for forks, and commands that exist."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plan.__main__ import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/workflows/preview.yaml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
RUNS = [step["run"] for _, step in STEPS if "run" in step]


def test_every_action_is_pinned_to_a_commit_and_names_its_release() -> None:
    """A tag can be moved to other code."""
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) == 6
    assert [each for each in used if not re.match(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\b", each)] == []


def test_it_runs_for_pull_requests_only_and_as_the_pull_requests_own_event() -> None:
    """`pull_request_target` and `workflow_run` would give secrets to the code of a fork."""
    assert set(WORKFLOW[True]) == {"pull_request"}  # YAML 1.1 reads the key `on` as true


def test_permissions_are_those_a_job_needs_and_no_others() -> None:
    """None for what is not named."""
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "plan": {"contents": "read"},
        "comment": {"pull-requests": "write"},
        "protection": {"actions": "read"},
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
    """It neither checks anything out nor runs anything but gh and the shell itself."""
    (step,) = JOBS["comment"]["steps"]
    assert "uses" not in step
    commands = re.sub(r"'[^']*'", "''", step["run"])  # without gh's filters
    used = set(re.findall(r"(?:^|\$\(|[;|&])\s*(?:if\s+)?([a-z]+)\b(?!=)", commands, re.MULTILINE))
    assert used == {"gh", "printf", "test", "then", "else", "fi"}


def test_secrets_wait_for_an_environment_whose_reviewers_have_to_agree() -> None:
    """GitHub makes a missing environment without any rule, so the rules are asked for first."""
    assert JOBS["preview"]["needs"] == ["plan", "protection"]
    assert JOBS["preview"]["if"].endswith(" && needs.protection.outputs.reviewed == 'true'")
    steps = (ROOT / "docs/pull-requests.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:secrets|vars)\.(\w+)", TEXT))
    assert named == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", steps))
    assert steps.index("required reviewers") < steps.index("PULUMI_ACCESS_TOKEN") < steps.index("PREVIEW_STACK")


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
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
    assert (ROOT / "requirements.txt").exists()


def test_the_engine_is_the_one_of_the_requirements() -> None:
    """A preview on GitHub is the preview at home."""
    (installed,) = [step["with"]["pulumi-version"] for _, step in STEPS if "pulumi/actions" in step.get("uses", "")]
    assert f"pulumi=={installed} " in (ROOT / "requirements.txt").read_text(encoding="utf-8")


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """A merge commit that changes, adds and removes a stack, and leaves one alone; Pulumi.yaml is not a stack file."""
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


def step(name: str, folder: Path, **variables: str) -> tuple[int, str, dict[str, str]]:
    """Run a step's script as GitHub does: exit status, output, and what it wrote to GitHub's files."""
    script = next(step["run"] for _, step in STEPS if step.get("name") == name)
    (folder.parent / "bin").mkdir(exist_ok=True)
    (folder.parent / "bin/python").unlink(missing_ok=True)
    (folder.parent / "bin/python").symlink_to(sys.executable)
    files = {name: folder.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    environment = {**os.environ, **{name: str(path) for name, path in files.items()}, **variables}
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
    pages = {page.name: page.read_text(encoding="utf-8") for page in (pull_request.parent / "pages").iterdir()}
    assert set(pages) == {"Pulumi.dev.yaml.html", "examples-a-b.yaml.html"}
    assert "What the change does" in pages["Pulumi.dev.yaml.html"]
    assert "makes 1 × 1g.10gb" in pages["Pulumi.dev.yaml.html"]
    assert "What the change does" not in pages["examples-a-b.yaml.html"]
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
    assert list((pull_request.parent / "pages").iterdir()) == []


def test_pages_are_kept_for_branches_of_this_repository_alone() -> None:
    """Those of a fork are what its code writes, and whoever downloads them opens them as files of their own."""
    (upload,) = [step for _, step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert upload["with"]["path"] == "${{ runner.temp }}/pages"
    assert upload["with"]["if-no-files-found"] == "ignore"
    assert JOBS["plan"]["outputs"]["pages"] == f"${{{{ steps.{upload['id']}.outputs.artifact-url }}}}"
    assert JOBS["comment"]["steps"][0]["env"]["PAGES"] == "${{ needs.plan.outputs.pages }}"


def test_one_wrong_stack_file_fails_the_check_and_the_others_are_checked_all_the_same(pull_request: Path) -> None:
    """With the report its author needs."""
    (pull_request / "Pulumi.dev.yaml").write_text("config: {}\n")
    status, said, _ = step("python -m plan check", pull_request)
    assert status == 1
    assert "azure-native:location\n    required, and missing" in said
    assert "examples/a b.yaml: all well" in said


MARK = "<!-- mig-k8s: what this pull request changes -->"
BOT = {"login": "github-actions[bot]"}
GITHUB = {
    "COMMENTS": "repos/o/r/issues/7/comments",
    "COMMENT": "repos/o/r/issues/comments",
    "MARK": MARK,
    "ENVIRONMENT": "repos/o/r/environments/preview",
}


@pytest.fixture
def github(tmp_path: Path) -> Path:
    """GitHub's answers by path, in a file that `gh api` changes as GitHub does; comments come in pages of two."""
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    (tmp_path / "checkout").mkdir()
    program.write_text(f"#!{sys.executable}\n{GH}")
    program.chmod(0o755)
    return tmp_path / "github.json"


GH = """
import argparse, json, os, pathlib, sys
import jq
parser = argparse.ArgumentParser()
parser.add_argument("api", choices=["api"])
parser.add_argument("path")
parser.add_argument("--method", default="GET")
parser.add_argument("--paginate", action="store_true")
parser.add_argument("--silent", action="store_true")
parser.add_argument("--jq")
parser.add_argument("--raw-field")
given = parser.parse_args()
file = pathlib.Path(__file__).parents[1] / "github.json"
state = json.loads(file.read_text())
if given.method == "GET":
    if given.path not in state:
        print('{"message": "Not Found"}')
        sys.exit("gh: Not Found (HTTP 404)")
    found = state[given.path]
    pages = [found[at : at + 2] for at in range(0, len(found), 2)] if isinstance(found, list) else [found]
    for page in pages if given.paginate else pages[:1]:
        for line in jq.compile(given.jq).input_value(page).all():
            print(line)
else:
    key, _, body = given.raw_field.partition("=")
    assert key == "body"
    comments = state["repos/o/r/issues/7/comments"]
    if given.method == "POST":
        assert given.path == "repos/o/r/issues/7/comments"
        comments.append({"id": 99, "user": {"login": "github-actions[bot]"}, "body": body})
    else:
        (comment,) = [each for each in comments if given.path == f"repos/o/r/issues/comments/{each['id']}"]
        comment["body"] = body
    file.write_text(json.dumps(state))
"""
OTHERS = [
    {"id": 1, "user": {"login": "a person"}, "body": f"{MARK}\nnot from the workflow"},
    {"id": 2, "user": BOT, "body": "of another workflow"},
    {"id": 3, "user": BOT, "body": f"of another workflow, quoting {MARK}"},
    {"id": 4, "user": {"login": "a person"}, "body": "looks good"},
]


def commented(github: Path, comments: list[dict[str, Any]], digest: str, pages: str = "") -> list[dict[str, Any]]:
    """The comments of the pull request after the workflow's step."""
    github.write_text(json.dumps({GITHUB["COMMENTS"]: comments}))
    status, said, _ = step(
        "the comment of this workflow, and no other",
        github.parent / "checkout",
        **GITHUB,
        DIGEST=digest,
        PAGES=pages,
    )
    assert status == 0, said
    found = json.loads(github.read_text())[GITHUB["COMMENTS"]]
    assert isinstance(found, list)
    return found


def test_a_first_comment_is_made_beside_all_others(github: Path) -> None:
    """With a mark that is not shown."""
    digest = "### `Pulumi.dev.yaml`\n\n`$(reboot)` 1 × 3g.40gb"
    assert commented(github, OTHERS, digest) == [*OTHERS, {"id": 99, "user": BOT, "body": f"{MARK}\n{digest}"}]


def test_the_comment_leads_to_the_pages_where_there_are_some(github: Path) -> None:
    pages = "https://github.com/o/r/actions/runs/1/artifacts/2"
    (made,) = commented(github, [], "digest", pages)
    assert made["body"] == (
        f"{MARK}\ndigest\n\n[The same as pages for a browser, with the layouts drawn]({pages})"
        " (a zip file, kept for 30 days)."
    )


def test_the_workflows_own_comment_is_changed_and_no_other(github: Path) -> None:
    """Not the last one, nor one of a person with the same mark; a second of its own, from two runs at once, stays."""
    ours = [{"id": number, "user": BOT, "body": f"{MARK}\nold"} for number in (5, 6)]
    after = commented(github, [*OTHERS, *ours, {"id": 7, "user": BOT, "body": "later"}], "new")
    assert after[:4] == OTHERS
    assert [each["body"] for each in after[4:]] == [f"{MARK}\nnew", f"{MARK}\nold", "later"]


@pytest.mark.parametrize(
    ("environment", "reviewed"),
    [
        (None, "false"),
        ({"name": "preview", "protection_rules": []}, "false"),
        ({"name": "preview", "protection_rules": [{"type": "wait_timer", "wait_timer": 30}]}, "false"),
        ({"name": "preview", "protection_rules": [{"type": "required_reviewers", "reviewers": []}]}, "false"),
        (
            {"name": "preview", "protection_rules": [{"type": "required_reviewers", "reviewers": [{"type": "User"}]}]},
            "true",
        ),
    ],
    ids=["no environment", "no rule", "a timer only", "nobody reviews", "somebody reviews"],
)
def test_a_preview_waits_for_an_environment_with_reviewers(github: Path, environment: object, reviewed: str) -> None:
    """And says where it is described when there is none."""
    github.write_text(json.dumps({GITHUB["ENVIRONMENT"]: environment} if environment else {}))
    status, said, written = step("somebody has to agree", github.parent / "checkout", **GITHUB)
    assert status == 0, said
    assert written["GITHUB_OUTPUT"] == f"reviewed={reviewed}\n"
    assert ("docs/pull-requests.md" in said) == (reviewed == "false")
