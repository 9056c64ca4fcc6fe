"""What a project has beside its program: each file says what is so, and names what exists."""

import re
import tomllib

import pytest
import yaml

from stacks import REPOSITORY

CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/upgrading.md", ".github/pull_request_template.md")


def test_the_version_is_the_newest_of_the_changes_or_the_next_one_is_on_top() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    heads = re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert heads[0] in {"Unreleased", project["version"]}
    released = [head for head in heads if head != "Unreleased"]
    assert released[:1] in ([], [project["version"]])
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])


def test_the_license_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "Apache-2.0"
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "mig-k8s maintainers" in text
    assert "[name of copyright owner]" not in text


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """Links, and paths in the form of code; a name in capitals, or a star, stands for many."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    base = (REPOSITORY / page).parent
    links = [base / link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    paths = [REPOSITORY / path for path in re.findall(r"`([\w.-]+/[\w./-]*[\w/])`", text)]
    missing = [str(path) for path in (*links, *paths) if not path.exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert set(re.findall(r"`(?:sudo )?make ([a-z-]+)", text)) <= targets


def test_the_editors_settings_are_those_of_the_formatter() -> None:
    ruff = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    text = (REPOSITORY / ".editorconfig").read_text(encoding="utf-8")
    (python,) = re.findall(r"^\[\*\.py\]\n((?:.+\n)+)", text, re.MULTILINE)
    assert f"max_line_length = {ruff['line-length']}\n" in python
    assert "indent_size = 4\n" in python


def test_the_hooks_before_a_commit_are_local_and_run_what_make_check_runs() -> None:
    """Nothing is fetched from anywhere: the environment is the one of `make`."""
    file = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [each["repo"] for each in file["repos"]] == ["local"]
    hooks = file["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for hook in hooks:
        assert hook["entry"].startswith(".github/in-environment ")
        program = hook["entry"].split()[1]
        assert program in makefile
    assert {hook["id"] for hook in hooks} == {"ruff-format", "ruff", "shellcheck", "mypy"}


@pytest.mark.parametrize("name", ["bug.yaml", "question.yaml"])
def test_a_form_for_issues_has_what_the_host_asks_for(name: str) -> None:
    form = yaml.safe_load((REPOSITORY / ".github/ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels", "title"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) >= 2
    assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_updates_are_asked_for_wherever_a_dependency_is_named() -> None:
    file = yaml.safe_load((REPOSITORY / ".github/dependabot.yml").read_text(encoding="utf-8"))
    asked = {(each["package-ecosystem"], folder) for each in file["updates"] for folder in each["directories"]}
    modules = {path.parent for path in REPOSITORY.rglob("go.mod")}
    assert {folder for system, folder in asked if system == "gomod"} == {
        f"/{path.relative_to(REPOSITORY)}" for path in modules if (path / "go.sum").exists()
    }
    assert {("pip", "/"), ("github-actions", "/")} <= asked
