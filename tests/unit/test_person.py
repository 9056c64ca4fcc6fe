"""Behind sudo, the sandbox belongs to the person who typed it."""

import json
import os
import pwd
import sys
from pathlib import Path

import pytest

from sandbox import person
from stacks import REPOSITORY
from sudo import ROOTS_PATH, environment_of, sudo

NOBODY = pwd.getpwnam("nobody")
_TELLS = """
import json, os
os.geteuid = lambda: 0
from sandbox import person
print(json.dumps(person.replaced_by_sudo()))
"""
_PERSONS = {
    "HOME": "/home/ada",
    "PATH": "/home/ada/bin:/usr/local/go/bin:/usr/bin:/bin",
    "XDG_CACHE_HOME": "/data/ada",
    "https_proxy": "http://proxy.example:3128",
    "GOPROXY": "http://modules.example",
    "PIP_INDEX_URL": "http://packages.example",
    "EDITOR": "vi",
}


def told(tmp_path: Path, persons: dict[str, str], **behind_the_word: str) -> dict[str, str]:
    """What a command finds that sudo has started."""
    given = environment_of(NOBODY.pw_uid, NOBODY.pw_gid, **behind_the_word)
    done = sudo(tmp_path, [sys.executable, "-c", _TELLS], persons=persons, given=given, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_home_path_and_the_way_to_registries_are_the_persons(tmp_path: Path) -> None:
    assert told(tmp_path, _PERSONS) == {
        "HOME": "/home/ada",
        "PATH": "/home/ada/bin:/usr/local/go/bin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
        "XDG_CACHE_HOME": "/data/ada",
        "https_proxy": "http://proxy.example:3128",
        "GOPROXY": "http://modules.example",
        "PIP_INDEX_URL": "http://packages.example",
    }


def test_what_is_set_behind_the_word_sudo_stays(tmp_path: Path) -> None:
    assert "XDG_CACHE_HOME" not in told(tmp_path, _PERSONS, XDG_CACHE_HOME="/elsewhere")


def test_where_sudo_cannot_be_seen_the_home_is_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(person, "_given_to_sudo", dict)
    for name, value in environment_of(NOBODY.pw_uid, NOBODY.pw_gid).items():
        monkeypatch.setenv(name, value)
    assert person.replaced_by_sudo() == {"HOME": NOBODY.pw_dir, "PATH": ROOTS_PATH}


@pytest.mark.parametrize(
    ("user", "sudo_uid"),
    [(1000, "1001"), (0, ""), (0, "0"), (0, "4000000000")],
    ids=["who became another user", "root", "root's own sudo", "an account that is not here"],
)
def test_nobody_else_is_taken_for_the_person(monkeypatch: pytest.MonkeyPatch, user: int, sudo_uid: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("SUDO_UID", sudo_uid)
    assert person.behind_sudo() is None
    assert person.replaced_by_sudo() == {}
    assert person.identity() == {}


def test_a_command_for_root_has_the_word_sudo_for_all_but_root_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "_given_to_sudo", dict)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert person.command("make sandbox-down") == "make sandbox-down"
    monkeypatch.setenv("SUDO_UID", str(NOBODY.pw_uid))
    assert person.command("make sandbox-down") == "sudo make sandbox-down"
    monkeypatch.delenv("SUDO_UID")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert person.command("make sandbox-down") == "sudo make sandbox-down"
