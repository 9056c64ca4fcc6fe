"""The configuration: every file of a machine whose content the stack decides, as one document over SSH."""

from dataclasses import dataclass
from typing import ClassVar

from machine.documents.desired_state import DesiredState
from machine.documents.form import Document

RKE2_CONFIG_PATH = "/etc/rancher/rke2/config.yaml"
RKE2_TOKEN_PATH = "/etc/rancher/rke2/token"  # noqa: S105 - where the token lies, not the token


@dataclass(frozen=True)
class Configuration(Document):
    """Secret when it holds a token. `rke2_config` is the text of RKE2's YAML; no token: the machine is alone."""

    NAME: ClassVar[str] = "the configuration"

    desired_state: DesiredState
    rke2_config: str
    rke2_token: str | None = None
