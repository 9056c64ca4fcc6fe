"""The configuration: every file of a machine whose content the stack decides, as one document over SSH."""

from dataclasses import dataclass
from typing import ClassVar

from machine.documents.desired_state import DesiredState
from machine.documents.form import Document, Form

RKE2_CONFIG_PATH = "/etc/rancher/rke2/config.yaml"
RKE2_TOKEN_PATH = "/etc/rancher/rke2/token"  # noqa: S105 - where the token lies, not the token
RKE2_AGENT_TOKEN_PATH = "/etc/rancher/rke2/agent-token"  # noqa: S105
NODE_PASSWORD_PATH = "/etc/rancher/node/password"  # noqa: S105
SERVER_TO_JOIN = "https://a-server-of-the-cluster.invalid:9345"
"""Stands for the server in `rke2_config` until the machine knows by which one it joins. RKE2 can join none by it."""


@dataclass(frozen=True)
class Administrator(Form):
    """The machine's user of people and of this program, and the public keys, a line each, of all who may log in."""

    user: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Configuration(Document):
    """Secret with its tokens and host keys. `rke2_config` is RKE2's YAML, in it `SERVER_TO_JOIN`; others are a line.

    `rke2_token` is what the machine joins with: on a server the server token, on an agent the agent token, which
    servers know as `rke2_agent_token`. `node_password` is for a machine that has none yet. `host_keys`: private SSH
    keys, each a file's content; none: the machine shows those that it was made with.
    """

    NAME: ClassVar[str] = "the configuration"

    desired_state: DesiredState
    rke2_config: str
    rke2_token: str | None = None
    rke2_agent_token: str | None = None
    node_password: str | None = None
    administrator: Administrator | None = None
    host_keys: tuple[str, ...] = ()
