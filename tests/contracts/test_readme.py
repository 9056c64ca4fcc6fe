"""The README says what the repository does today."""

import re
from pathlib import Path

import yaml

from plan import plan_stack, read_settings
from plan.report.summary import summary
from plan.report.svg import picture
from plan.stack_file.document import read_stack_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_key_of_a_stack_file_and_no_other() -> None:
    """Its configuration table has one row for each key of the reference, secrets included."""
    reference = (ROOT / "docs/config-reference.yaml").read_text(encoding="utf-8")
    keys = set(yaml.safe_load(reference)["config"]) | set(re.findall(r"# (mig-k8s:\w+): +\{secure:", reference))
    assert set(re.findall(r"^\| `([\w-]+:\w+)` \|", README, re.MULTILINE)) == keys


def test_every_make_target_of_the_readme_exists() -> None:
    """A command somebody copies from the README is one that make knows."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`(?:sudo )?make ([a-z-]+)|^sudo make ([a-z-]+)|^make ([a-z-]+)", README, re.MULTILINE))
    assert {name for names in named for name in names if name} <= targets


def test_every_file_the_readme_links_to_exists() -> None:
    """No link of the README leads nowhere."""
    missing = [path for path in re.findall(r"\]\(([^)#:]+)\)", README) if not (ROOT / path).exists()]
    assert missing == []


def test_the_picture_in_the_readme_is_that_of_the_development_stack() -> None:
    """`python -m plan show Pulumi.dev.yaml --svg docs/layout.svg` would change nothing."""
    file = read_stack_file(ROOT / "Pulumi.dev.yaml")
    settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    drawn = picture(summary(plan_stack(settings)))
    assert (ROOT / "docs/layout.svg").read_text(encoding="utf-8") == drawn
