"""RKE2's tokens in the stand-in: what a start, another token and a rotation do to a server. No root, no machine."""

import base64
import json
import os
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.rke2.node import bootstrap, configuration, etcd, paths
from sandbox.rke2.node.certificates import SERVER
from sandbox.rke2.node.error import Rke2Error
from sandbox.rke2.node.etcd import DuplicateError, Member
from sandbox.rke2.node.supervisor import Supervisor, _Request
from sandbox.rke2.node.users import Users

if TYPE_CHECKING:
    from sandbox.rke2.node.api import Api

DIFFERENT = "bootstrap data already found and encrypted with different token"
NEWER = "newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart"


class Server:
    """A server's disk, and a datastore that outlives its starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, str] = {}

    def start(self, text: str = "") -> Users:
        """With this in config.yaml, ten seconds after whatever was before."""
        self._ten_seconds_later()
        file = self.folder / "config.yaml"
        file.write_text(f"node-ip: 10.60.0.4\n{text}")
        bootstrap.settle(configuration.read(file))
        return self.users()

    def rotate(self, new: str, text: str = "") -> Users:
        file = self.folder / "config.yaml"
        file.write_text(f"node-ip: 10.60.0.4\n{text}")
        bootstrap.rotate(configuration.read(file), new)
        return self.users()

    @staticmethod
    def users() -> Users:
        users = Users.read()
        assert users is not None
        return users

    def _ten_seconds_later(self) -> None:
        if paths.PASSWORDS.exists():
            seen = paths.PASSWORDS.stat().st_mtime
            os.utime(paths.PASSWORDS, (seen - 10, seen - 10))
        for key, value in self.values.items():
            stored = json.loads(value)
            stored["passwd"]["timestamp"] -= 10
            self.values[key] = json.dumps(stored)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server(tmp_path)
    for name in ("PASSWORDS", "TOKEN", "NODE_TOKEN", "AGENT_TOKEN"):
        monkeypatch.setattr(paths, name, tmp_path / "server" / name.lower())
    monkeypatch.setattr(etcd, "values", lambda _: dict(made.values))
    monkeypatch.setattr(etcd, "put", lambda key, value: made.values.update({key: value}))
    monkeypatch.setattr(etcd, "delete", made.values.pop)
    authority = tmp_path / "server-ca"
    authority.with_suffix(".crt").write_text("the authority")
    monkeypatch.setattr(bootstrap, "SERVER", type(SERVER)(authority, "the authority"))
    monkeypatch.setattr(bootstrap, "FILES", (authority.with_suffix(".crt"),))
    monkeypatch.setattr(paths, "TLS", tmp_path)
    return made


def test_a_server_without_a_token_makes_one_and_keeps_it(server: Server) -> None:
    made = server.start()

    assert len(made.server) == 32
    assert made.node == made.server
    assert server.start() == made
    assert paths.TOKEN.read_text().endswith(f"::server:{made.server}\n")
    assert paths.TOKEN.read_text().startswith("K10")
    assert paths.NODE_TOKEN.read_text() == paths.TOKEN.read_text()


@pytest.mark.parametrize("born_with", ["", "token: the first"])
def test_another_token_than_the_clusters_ends_in_rke2s_words_and_stays_broken(server: Server, born_with: str) -> None:
    server.start(born_with)

    with pytest.raises(Rke2Error, match=DIFFERENT):
        server.start("token: another")
    for text in ("token: another", born_with):
        with pytest.raises(Rke2Error) as refused:
            server.start(text)
        assert NEWER in str(refused.value)
    paths.PASSWORDS.unlink()
    assert server.start("token: the first" if born_with else "").server != "another"


def test_an_agent_token_from_the_first_start_is_the_nodes_password_over_all_starts(server: Server) -> None:
    for _ in range(3):
        assert server.start("token: t\nagent-token: a") == Users(server="t", node="a")
    assert paths.AGENT_TOKEN.read_text().endswith("::node:a\n")


def test_an_agent_token_that_comes_later_works_for_one_start_only(server: Server) -> None:
    server.start("token: t")
    assert server.start("token: t\nagent-token: a") == Users(server="t", node="a")

    with pytest.raises(Rke2Error, match="passwords newer than datastore"):
        server.start("token: t\nagent-token: a")


def test_a_rotation_to_the_same_token_puts_the_agent_token_into_the_datastore(server: Server) -> None:
    server.start("token: t")
    server.start("token: t\nagent-token: a")

    assert server.rotate("t", "token: t\nagent-token: a") == Users(server="t", node="a")

    for _ in range(2):
        assert server.start("token: t\nagent-token: a") == Users(server="t", node="a")


def test_after_a_rotation_the_old_token_is_refused_and_the_new_one_starts_the_server(server: Server) -> None:
    old = server.start()

    assert server.rotate("new") == Users(server="new", node="new")
    assert paths.TOKEN.read_text().endswith("::server:new\n")
    assert server.start("token: new") == Users(server="new", node="new")
    with pytest.raises(Rke2Error, match=DIFFERENT):
        server.start(f"token: {old.server}")


def test_a_rotation_leaves_an_agent_token_of_its_own_as_it_is(server: Server) -> None:
    server.start("token: t\nagent-token: a")

    assert server.rotate("new", "token: t\nagent-token: a") == Users(server="new", node="a")


@pytest.mark.parametrize("new", ["", "0tx5o5.jizx29i2g5jmqzjq", "K10abc::server:x"])
def test_what_can_be_no_server_token_is_refused_and_nothing_changes(server: Server, new: str) -> None:
    before, values = server.start("token: t"), dict(server.values)

    with pytest.raises(Rke2Error, match="failed to normalize server token"):
        server.rotate(new, "token: t")

    assert (server.users(), server.values) == (before, values)


def test_each_of_the_two_tokens_permits_its_own_requests_only() -> None:
    users = Users(server="t", node="a")

    assert [users.knows(user, word) for user, word in (("server", "t"), ("node", "a"))] == [True, True]
    assert [users.knows(user, word) for user, word in (("server", "a"), ("node", "t"), ("x", "t"))] == [False] * 3


def test_a_running_server_goes_by_the_tokens_that_it_started_with(server: Server) -> None:
    """The one that is rotated opens nothing there before it starts again."""

    def supervisor() -> Supervisor:
        return Supervisor(configuration.read(server.folder / "config.yaml"), cast("Api", None), lambda: None)

    def status(of: Supervisor, user: str, password: str) -> int:
        headers = Message()
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        return of.answer(_Request("GET /v1-rke2/nothing", headers, b""))[0]

    server.start("token: t\nagent-token: a")
    running = supervisor()
    server.rotate("new", "token: t\nagent-token: a")
    server.start("token: new\nagent-token: b")
    restarted = supervisor()
    words = [("server", "t"), ("node", "a"), ("server", "new"), ("node", "b")]
    assert [status(running, *each) for each in words] == [404, 404, 401, 401]
    assert [status(restarted, *each) for each in words] == [401, 401, 404, 404]


def test_another_server_restarts_with_the_rotated_token_and_takes_what_the_datastore_has(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two disks and one datastore."""
    server.start("token: t\nagent-token: a")
    server.rotate("new", "token: t\nagent-token: a")
    server.start("token: new\nagent-token: b")
    server.rotate("new", "token: new\nagent-token: b")
    second = Server(tmp_path)
    second.values = server.values
    monkeypatch.setattr(paths, "PASSWORDS", tmp_path / "second-passwords")
    Users(server="t", node="a").write()
    old = paths.PASSWORDS.stat().st_mtime - 60
    os.utime(paths.PASSWORDS, (old, old))
    with pytest.raises(Rke2Error, match=DIFFERENT):
        second.start("token: t\nagent-token: a")
    paths.PASSWORDS.unlink()
    for _ in range(2):
        assert second.start("token: new\nagent-token: b") == Users(server="new", node="b")


@pytest.mark.parametrize("peer", ["https://10.60.0.5:2380", "https://10.60.0.9:2380"])
def test_a_member_of_a_nodes_name_keeps_another_machine_of_that_name_out(
    monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    calls: list[str] = []
    known = [Member("1", "server-0-11111111", "https://10.60.0.4:2380", is_learner=False)]
    known.append(Member("2", "server-1-22222222", "https://10.60.0.5:2380", is_learner=False))
    monkeypatch.setattr(etcd, "members", lambda: known)
    monkeypatch.setattr(etcd, "_call", lambda method, _: calls.append(method))

    with pytest.raises(DuplicateError, match="duplicate node name found, please use a unique name for this node"):
        etcd.admit("server-1-33333333", peer)
    assert calls == []

    etcd.admit("server-2-33333333", "https://10.60.0.6:2380")
    assert calls == ["cluster/member/add"]
