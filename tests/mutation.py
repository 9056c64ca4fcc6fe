"""Change a module in every small way that cosmic-ray knows, and show the changes that no test notices.

`make mutation` takes the modules below, `make mutation MODULE=plan/problems.py TESTS=tests/unit/test_settings.py`
another one. A change that makes no difference is shown too, so each has to be read: a test is missing, or the line is
not needed, or nothing is wrong.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.virtualenv import CHECKOUT, virtualenv

_TESTS = {
    "machine/gpu/profiles.py": ("tests/machine/test_apply.py",),
    "plan/gpu/nearest.py": ("tests/unit/test_placement.py", "tests/unit/test_refusals.py"),
}
"""Modules, each with the tests that are about it: all others would only take their time."""
_CONFIGURATION = """
[cosmic-ray]
module-path = ["{module}"]
timeout = 60.0
test-command = "{python} -m pytest -x -q -p no:cacheprovider -m 'not exhaustive' {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def _copy(to: Path) -> None:
    """The checkout as it is, without what is not git's: the modules are changed in their place."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name)


def survivors(module: str, tests: tuple[str, ...]) -> str:
    """What cosmic-ray tells of the changes that these tests let pass."""
    programs = virtualenv("requirements-mutation.lock") / "bin"
    # Two changes within a second, of one length, are one to Python's bytecode.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        _copy(folder)
        text = _CONFIGURATION.format(module=module, python=sys.executable, tests=" ".join(tests))
        (folder / "cosmic-ray.toml").write_text(text, encoding="utf-8")

        def run(program: str, *words: str) -> str:
            command = [str(programs / program), *words]
            done = subprocess.run(command, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"`{program} {' '.join(words)}` failed for {module}. Do {' '.join(tests)} pass unchanged?")
            return done.stdout

        run("cosmic-ray", "baseline", "cosmic-ray.toml")
        run("cosmic-ray", "init", "cosmic-ray.toml", "session.sqlite")
        run("cosmic-ray", "exec", "cosmic-ray.toml", "session.sqlite")
        return run("cr-report", "--surviving-only", "--show-diff", "session.sqlite")


def main(words: list[str]) -> None:
    """One module with these tests, or with those above; without a module all of those above."""
    if len(words) == 1 and words[0] not in _TESTS:
        sys.exit(
            f"which tests are about {words[0]}? Say TESTS=…; only {' and '.join(_TESTS)} have theirs in {__file__}"
        )
    wanted = {words[0]: tuple(words[1:]) or _TESTS[words[0]]} if words else _TESTS
    for module, tests in wanted.items():
        print(f"== {module}, by {' '.join(tests)}\n{survivors(module, tests)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
