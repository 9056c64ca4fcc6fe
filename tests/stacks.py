"""Stack files as tests use them, and the run of `__main__.py` with one."""

import copy
import json
import runpy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import yaml

from recording import Encrypted, Graph, run_program

REPOSITORY = Path(__file__).resolve().parent.parent
STACKS = ["Pulumi.dev.yaml", *(f"examples/{path.name}" for path in sorted((REPOSITORY / "examples").glob("*.yaml")))]
"""Every complete stack file of this repository."""

# Keys made for these tests; they open nothing.
HOST_PRIVATE_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACBzLKjhhjTN2ar3hF709iVqJQgoaIdz/8sZJotPczdQZAAAAIgRJDv8ESQ7
/AAAAAtzc2gtZWQyNTUxOQAAACBzLKjhhjTN2ar3hF709iVqJQgoaIdz/8sZJotPczdQZA
AAAEAPRyL6FcBzZRIDjmkW9i0Oq0N6OQtINOrs4fGC3m7A13MsqOGGNM3ZqveEXvT2JWol
CChoh3P/yxkmi09zN1BkAAAAAAECAwQF
-----END OPENSSH PRIVATE KEY-----
"""
HOST_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHMsqOGGNM3ZqveEXvT2JWolCChoh3P/yxkmi09zN1Bk"
ADMIN_PRIVATE_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDm9e1D9ZohzE3h1qusiTckf8m3PkJCxu9IgAiua0sLMAAAAIhG0xIuRtMS
LgAAAAtzc2gtZWQyNTUxOQAAACDm9e1D9ZohzE3h1qusiTckf8m3PkJCxu9IgAiua0sLMA
AAAED84CZ8pEZTga76R5stWsZSZ8KFtlaIUJ9i5rswseM1GOb17UP1miHMTeHWq6yJNyR/
ybc+QkLG70iACK5rSwswAAAAAAECAwQF
-----END OPENSSH PRIVATE KEY-----
"""
ADMIN_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOb17UP1miHMTeHWq6yJNyR/ybc+QkLG70iACK5rSwsw"
RKE2_TOKEN = "shared-by-all-machines-4d1f"
SECRETS = {
    "sshPrivateKey": Encrypted(ADMIN_PRIVATE_KEY),
    "sshHostKey": Encrypted(HOST_PRIVATE_KEY),
    "rke2Token": Encrypted(RKE2_TOKEN),
}
CLUSTER = [
    {"name": "server", "role": "server", "vmSize": "Standard_D4s_v5"},
    {"name": "gpu", "role": "agent", "vmSize": "Standard_NC24ads_A100_v4", "count": 2, "migDevices": {"1g.10gb": 7}},
]
"""Node pools of a cluster of three machines, for `mig.strategy: single`."""


@cache
def _document(path: str) -> dict[str, Any]:
    document = yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def stack_file(path: str) -> dict[str, Any]:
    """The `config` of a stack file of this repository."""
    return copy.deepcopy(dict(_document(path)["config"]))


def engine_config(config: Mapping[str, Any]) -> dict[str, str | Encrypted]:
    """A stack file's configuration as the engine gives it: with the project's defaults, JSON if structured."""
    declared = _document("Pulumi.yaml").get("config", {})
    defaults = {
        key: declaration[source]
        for key, declaration in declared.items()
        for source in ("default", "value")
        if source in declaration
    }
    values = {**defaults, **config}
    return {key: value if isinstance(value, str | Encrypted) else json.dumps(value) for key, value in values.items()}


def configuration(path: str, replaced: Mapping[str, object]) -> dict[str, str | Encrypted]:
    """What the program gets of this stack file, all secrets set and some keys replaced (None takes a key away)."""
    config = stack_file(path) | {f"mig-k8s:{key}": value for key, value in SECRETS.items()}
    config["mig-k8s:ssh"] = {"publicKey": ADMIN_PUBLIC_KEY}
    config |= {key if ":" in key else f"mig-k8s:{key}": value for key, value in replaced.items()}
    return engine_config({key: value for key, value in config.items() if value is not None})


class Program(Protocol):
    """The fixture `program`: see conftest.py."""

    def __call__(
        self,
        path: str = ...,
        *,
        preview: bool = ...,
        unmade: Sequence[str] | None = ...,
        azure_names: Mapping[str, str] | None = ...,
        statuses: Mapping[str, Sequence[str]] | None = ...,
        **replaced: object,
    ) -> Graph: ...


def main_program(
    path: str,
    *,
    preview: bool,
    unmade: Sequence[str] | None = None,
    azure_names: Mapping[str, str] | None = None,
    statuses: Mapping[str, Sequence[str]] | None = None,
    lived: Graph | None = None,
    replaced: Mapping[str, object],
) -> Graph:
    """Runs `__main__.py` with this `configuration`.

    `preview`, `unmade`, `azure_names`, `statuses`, `lived`: see `run_program`.
    """
    main = str(REPOSITORY / "__main__.py")
    return run_program(
        lambda: runpy.run_path(main, run_name="__main__"),
        configuration(path, replaced),
        preview=preview,
        unmade=unmade,
        azure_names=azure_names,
        statuses=statuses,
        lived=lived,
    )
