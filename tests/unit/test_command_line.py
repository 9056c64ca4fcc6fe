"""`python -m plan`: exit codes and output as people and scripts meet them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from minimal_stack import PUBLIC_KEY

from plan.__main__ import main

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command of `python -m plan`, in this process and the repository's folder."""
    monkeypatch.chdir(_ROOT)

    def command(*arguments: str | Path) -> Done:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Done(returncode=code, stdout=captured.out, stderr=captured.err)

    return command


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plan", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A stack with one problem."""
    path = tmp_path / "Pulumi.wrong.yaml"
    path.write_text(
        "config:\n"
        "  azure-native:location: westeurope\n"
        "  mig-k8s:adminCidrs: [203.0.113.7/32]\n"
        f"  mig-k8s:ssh: {{publicKey: {PUBLIC_KEY}}}\n"
        "  mig-k8s:mig: {strategy: mixd}\n"
    )
    return path


def test_a_right_stack_is_all_well(run: Run) -> None:
    """0, and what is still to be set."""
    done = run("check", "Pulumi.dev.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Pulumi.dev.yaml: all well; machines: 1, MIG devices: 3\n"
        "Before `pulumi up` (or by `make new-stack`) these secrets are to be set: "
        "sshHostSecret, rke2Token, sshPrivateKey\n"
        "Only Azure knows whether westeurope has Standard_NC24ads_A100_v4: "
        "`python -m plan show` has the commands that ask it.\n"
    )


def test_a_stack_of_before_the_token_is_told_how_to_make_it(run: Run, tmp_path: Path) -> None:
    """The others are set, so `make new-stack` is not the way to set it."""
    keys = "".join(f"  mig-k8s:{key}: {{secure: AAABAG==}}\n" for key in ("sshHostKey", "sshPrivateKey"))
    old = tmp_path / "Pulumi.old.yaml"
    old.write_text(Path("Pulumi.dev.yaml").read_text(encoding="utf-8").rstrip("\n") + f"\n{keys}")
    done = run("check", str(old))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:3] == [
        "Before `pulumi up` (or by `make new-stack`) these secrets are to be set: rke2Token",
        "  openssl rand -hex 32 | pulumi config set --secret mig-k8s:rke2Token",
    ]


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_wrong_stack_is_told_on_stderr(run: Run, command: str, wrong: Path) -> None:
    """1, and nothing on stdout."""
    done = run(command, wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "1 problem in this stack; nothing was made or changed.\n\n"
        "mig-k8s:mig.strategy: mixd\n"
        "    not one of the values\n"
        "    allowed: none, single, mixed\n"
        "    do: Write mixed.\n"
    )


def test_the_module_runs_as_a_program_with_these_exit_codes(wrong: Path) -> None:
    """What a shell sees."""
    assert _process("check", "Pulumi.dev.yaml").returncode == 0
    assert _process("check", str(wrong)).returncode == 1


def test_a_reader_that_has_seen_enough_ends_it_without_a_word() -> None:
    """As in `python -m plan show FILE | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "plan", "show", "Pulumi.dev.yaml"]
    try:
        done = subprocess.run(command, cwd=_ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_missing_file_is_told_without_a_traceback(run: Run) -> None:
    """1 as well: it is the stack that is missing."""
    done = run("check", "Pulumi.nobody.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("1 problem in this stack")
    assert "there is no such file" in done.stderr


def test_a_wrong_command_line_is_2(run: Run) -> None:
    """So that a script can tell a wrong stack from a wrong script."""
    assert run("chek", "Pulumi.dev.yaml").returncode == 2
    assert run().returncode == 2


def test_show_draws_the_tutorials_gpu_slice_by_slice(run: Run) -> None:
    """Not on a terminal: no colour."""
    done = run("show", "Pulumi.dev.yaml")
    assert done.returncode == 0
    assert (
        "  GPU 0  A100-80GB  MIG on\n"
        "   0        1        2        3        4        5        6        7\n"
        "  ┌─────────────────┬────────┬────────┬───────────────────────────────────┐\n"
        "  │     2g.20gb     │1g.10gb │   ·    │              3g.40gb              │\n"
        "  └─────────────────┴────────┴────────┴───────────────────────────────────┘\n"
        "  compute slices 6 of 7, memory slices 7 of 8\n"
        "  still creatable: 1 × 1g.10gb or 1 × 1g.10gb+me\n"
    ) in done.stdout
    assert "  by hand: nvidia-smi mig -i 0 -cgi 3g.40gb:4,2g.20gb:0,1g.10gb:2 -C\n" in done.stdout
    assert "\033[" not in done.stdout


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_on_a_terminal_show_is_coloured_unless_no_color_says_otherwise(
    run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool
) -> None:
    """As no-color.org has it: set and not empty."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert ("\033[" in run("show", "Pulumi.dev.yaml").stdout) is coloured


def test_on_a_terminal_narrower_than_the_boxes_nothing_else_is_narrower(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines would break anyhow."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = []
    for columns in ("40", "80"):
        monkeypatch.setenv("COLUMNS", columns)
        shown.append(run("show", "examples/none-mig-on.yaml").stdout)
    assert shown[0] == shown[1]


@pytest.mark.parametrize(("columns", "widest"), [("80", 80), ("300", 100)])
def test_show_keeps_to_the_width_of_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: str, widest: int
) -> None:
    """From 80 columns, which the boxes need, to 100, which can be read."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = run("show", "examples/none-mig-on.yaml").stdout.splitlines()
    longest = max(len(line) for line in lines if "az vm " not in line)
    assert widest - 20 < longest <= widest


def test_show_json_is_what_docs_plan_json_documents(run: Run) -> None:
    """Its keys, all of them, and no others."""
    shown = json.loads(run("show", "--json", "Pulumi.dev.yaml").stdout)
    documented = (_ROOT / "docs" / "plan-json.md").read_text(encoding="utf-8")
    for key in _keys(shown):
        assert f"`{key}`" in documented, key


def _keys(value: object, path: str = "") -> set[str]:
    if path in {"gpuOperator.values", "nodes[].allocatable", "nodes[].labels", "nodes[].gpus[].spare.creatable"}:
        return {path}
    if isinstance(value, dict):
        return {found for key, item in value.items() for found in _keys(item, f"{path}.{key}".lstrip("."))}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {found for item in value for found in _keys(item, f"{path}[]")}
    return {path}


def test_show_svg_writes_a_picture_besides(run: Run, tmp_path: Path) -> None:
    """And still prints the drawing."""
    target = tmp_path / "plan.svg"
    done = run("show", "Pulumi.dev.yaml", "--svg", target)
    assert done.returncode == 0
    assert target.read_text(encoding="utf-8").startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "3g.40gb" in target.read_text(encoding="utf-8")


def test_show_html_writes_a_page_besides(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "plan.html"
    done = run("show", "Pulumi.dev.yaml", "--html", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("show", "Pulumi.dev.yaml").stdout
    written = target.read_text(encoding="utf-8")
    assert "<h1>Pulumi.dev.yaml</h1>" in written
    assert "What the change does" not in written


def test_show_html_of_two_files_is_the_plan_of_the_new_one_and_what_the_change_costs(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "plan.html"
    done = run("show", "examples/single.yaml", "Pulumi.dev.yaml", "--html", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("show", "Pulumi.dev.yaml").stdout
    written = target.read_text(encoding="utf-8")
    assert "<h1>Pulumi.dev.yaml</h1>" in written
    assert "<p><strong>Cost:</strong> pods may have to go: mlops-k8s-master.</p>" in written


def test_two_files_without_a_page_are_a_matter_of_the_digest(run: Run) -> None:
    done = run("show", "examples/single.yaml", "Pulumi.dev.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`python -m plan digest FILE NEW` says what the change does" in done.stderr


@pytest.mark.parametrize("option", ["--svg", "--html"])
def test_a_file_that_cannot_be_written_is_told_without_a_traceback(run: Run, tmp_path: Path, option: str) -> None:
    done = run("show", "Pulumi.dev.yaml", option, tmp_path / "nowhere/plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{tmp_path}/nowhere/plan: cannot be written: No such file or directory. "
        "Name a file in a folder that is there and that you may write to.\n"
    )


def test_layout_is_the_document_that_the_machine_gets(run: Run) -> None:
    """With what a change does about pods: `mig-k8s apply --dry-run` on the machine reads it."""
    done = run("layout", "Pulumi.dev.yaml", "mlops-k8s-master")
    places = [("3g.40gb", 4), ("2g.20gb", 0), ("1g.10gb", 2)]
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "version": 1,
        "gpus": [
            {"index": 0, "mode": True, "instances": [{"profile": name, "start": start} for name, start in places]}
        ],
        "onChange": "refuse",
    }


@pytest.mark.parametrize(
    ("file", "machine", "said"),
    [
        ("Pulumi.dev.yaml", "other", "other makes no instances itself; machines that do: mlops-k8s-master\n"),
        ("examples/operator-owned.yaml", "other", "other makes no instances itself; machines that do: none\n"),
    ],
)
def test_layout_of_a_machine_that_makes_none_names_those_that_do(run: Run, file: str, machine: str, said: str) -> None:
    done = run("layout", file, machine)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_digest_of_a_stack_with_itself_is_nothing(run: Run) -> None:
    """One line."""
    assert run("digest", "Pulumi.dev.yaml", "Pulumi.dev.yaml").stdout == "Nothing changes.\n"


def test_the_plan_imports_no_pulumi_and_no_cloud() -> None:
    """It is tested, and runs, without an engine."""
    code = "import sys, plan.__main__, plan.report.drawing, plan.report.page, plan.report.digest; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    loaded = done.stdout.split()
    assert "plan.stack" in loaded
    assert not [name for name in loaded if name.split(".")[0].startswith(("pulumi", "components", "sandbox", "grpc"))]
