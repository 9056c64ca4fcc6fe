"""A program in a fork of the warm interpreter is one in an interpreter of its own, for who started it."""

import os
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sandbox.providers import interpreter

pytestmark = pytest.mark.engine


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A plugin's shell script; what it runs is in `modules/said.py`."""
    modules = tmp_path / "modules"
    modules.mkdir()
    script = tmp_path / "plugin"
    script.write_text(interpreter.start_script(str(modules), "-Pm", "said"))
    script.chmod(0o700)
    return script


def write(script: Path, program: str) -> None:
    (script.parent / "modules" / "said.py").write_text(textwrap.dedent(program))


def run(script: Path, *arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [script, *arguments],
        input=stdin,
        text=True,
        capture_output=True,
        cwd=script.parent,
        env={**os.environ, **variables},
        timeout=20,
        check=False,
    )


def test_it_has_the_arguments_directory_variables_and_input_of_who_asks_and_the_sdks(script: Path) -> None:
    write(
        script,
        """
        import os, sys
        sdks = "pulumi_azure_native.network" in sys.modules
        sandbox = [name for name in sys.modules if name.startswith("sandbox")]
        print(__name__, sys.argv[1:], os.getcwd(), os.environ["OWN"], sys.stdin.read(), sdks, sandbox)
        print("an error", file=sys.stderr)
        """,
    )
    done = run(script, "one", "two words", stdin="given", OWN="a value")
    said = f"__main__ ['one', 'two words'] {script.parent} a value given True []\n"
    assert (done.stdout, done.stderr, done.returncode) == (said, "an error\n", 0)


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("import os; os._exit(32)", 32, ""),
        ("import os; os.kill(os.getpid(), 15)", 143, ""),
        ("raise ValueError('why')", 1, "ValueError: why\n"),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('why')", 1, "why\n"),
    ],
)
def test_its_status_is_the_one_of_who_asks(script: Path, program: str, status: int, said: str) -> None:
    write(script, program)
    done = run(script)
    assert done.returncode == status
    assert done.stderr.endswith(said)


def test_it_ends_with_who_asks(script: Path) -> None:
    write(script, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    with subprocess.Popen([script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ended = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
        assert select.select([ended], [], [], 10)[0] == [ended], "not within 10 s: the program ends"
        os.close(ended)


def test_without_a_warm_interpreter_it_is_python_itself(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(interpreter.WARM)
    write(script, "import sys; print(sys.executable, sys.argv[1:], 'pulumi' in sys.modules)")
    assert run(script, "one").stdout == f"{sys.executable} ['one'] False\n"
