"""The Pulumi CLI: the one on PATH, else one built from its module, without what a sandbox never calls of it."""

import os
import shutil
import tempfile
from pathlib import Path

from sandbox import person
from sandbox.tools import go

_HERE = Path(__file__).parent / "pulumi"
_CLI = "github.com/pulumi/pulumi/pkg/v3"
_CHANGED = {"pkg": _CLI, "gocloud.dev": "gocloud.dev"}
"""Folder of `without` with files that take the place of others in a copy of the module → the module."""
_TESTS = shutil.ignore_patterns("*_test.go", "testdata")


def pulumi() -> Path:
    """The program. MIG_K8S_BUILD_PULUMI=1 always builds it.

    The one that is built has no `pulumi cloud`, and no state and no secrets provider in a cloud: what they need would
    be half of what is to be compiled.
    """
    found = shutil.which("pulumi")
    if found and os.environ.get("MIG_K8S_BUILD_PULUMI") != "1":
        return Path(found)
    return go.kept("pulumi", _HERE, go.sources(_HERE), _build, "about 3 min") / "pulumi"


def _build(draft: Path) -> None:
    link = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={go.version(_HERE, _CLI)}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(_HERE / file, folder / file)
        for path in (folder, *folder.iterdir()):
            person.give(path)
        go.run(_HERE, "mod", "download", *_CHANGED.values())
        for name, module in _CHANGED.items():
            original = go.run(_HERE, "list", "-m", "-f", "{{.Dir}}", module).strip()
            for source in (original, _HERE / "without" / name):
                # By content alone: Go keeps its modules read-only.
                shutil.copytree(source, folder / name, copy_function=shutil.copyfile, dirs_exist_ok=True, ignore=_TESTS)
        modules = folder / "go.mod"
        replaced = [f"-replace={module}={folder / name}" for name, module in _CHANGED.items()]
        go.run(_HERE, "mod", "edit", *replaced, str(modules))
        go.build(_HERE, draft / "pulumi", f"{_CLI}/cmd/pulumi", link, f"-modfile={modules}")
