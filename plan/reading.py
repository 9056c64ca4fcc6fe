"""From the mapping of a stack file to `Settings`, with every problem of the file in one report."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from plan.problems import Problem, Problems
from plan.rules import broken_rules
from plan.settings import Settings
from plan.shapes import NAMESPACE, shape_problem

SECRET_KEYS = ("sshPrivateKey", "sshHostKey", "rke2Token")

_SOUND = {
    "location": "westeurope",
    "adminCidrs": ["203.0.113.7/32"],
    "ssh": {"publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv"},
}
"""Stand in for a required section that is broken, so that the rules can still judge the others."""


def read_settings(
    mapping: Mapping[str, Any], *, location: object, secrets: Iterable[str], ask_for_secrets: bool = True
) -> Settings:
    """The settings of a stack.

    `mapping` holds the keys of the namespace `mig-k8s` without it; `location` is `azure-native:location` (None = not
    set); `secrets` are the keys that are, or hold, encrypted values. A secret key in `mapping` is one in clear.
    `ask_for_secrets`: whether a secret that is not set yet is a problem. Raises Problems with everything that is wrong.
    """
    clear = [key for key in SECRET_KEYS if key in mapping]
    misplaced = sorted(key for key in secrets if key in mapping and key not in SECRET_KEYS)
    problems = [*map(_in_clear, clear), *map(_misplaced, misplaced)]
    config = {key: value for key, value in mapping.items() if key not in {*clear, *misplaced}}
    if location is not None:
        config["location"] = location
    try:
        settings, unsound = Settings.model_validate_json(json.dumps(config)), frozenset(misplaced)
    except ValidationError as error:
        faults = [fault for fault in error.errors(include_url=False) if fault["loc"][0] not in misplaced]
        problems += [shape_problem(fault) for fault in faults]
        unsound = frozenset([*misplaced, *(_section(fault["loc"]) for fault in faults)])
        settings = Settings.model_validate_json(json.dumps(_sound_part(config, unsound)))
    problems += broken_rules(settings, unsound)
    if ask_for_secrets:
        problems += _unset_secrets(settings, {*secrets, *clear}, unsound)
    if problems:
        raise Problems(problems)
    return settings


def _section(location: tuple[int | str, ...]) -> str:
    """The part of the file that holds this place: a top-level key, or one node pool."""
    if location[0] == "nodePools" and len(location) > 1:
        return f"nodePools[{location[1]}]"
    return str(location[0])


def _sound_part(config: Mapping[str, Any], unsound: frozenset[str]) -> dict[str, Any]:
    """The file without its broken parts; a broken pool is replaced, so that the others keep their places."""
    sound = _SOUND | {key: value for key, value in config.items() if key not in unsound}
    if "nodePools" in sound:
        pools = sound["nodePools"]
        substitute = {"vmSize": "Standard_D4s_v5"}
        sound["nodePools"] = [
            substitute if f"nodePools[{index}]" in unsound else pool for index, pool in enumerate(pools)
        ]
    return sound


def _in_clear(key: str) -> Problem:
    return Problem(
        path=f"{NAMESPACE}:{key}",
        value="(not shown)",
        what="this secret is in the stack file in clear; consider it known to others and make a new one",
        allowed="an encrypted value, `{secure: …}`",
        remedy=f"pulumi config set --secret {NAMESPACE}:{key} < FILE",
    )


def _misplaced(key: str) -> Problem:
    return Problem(
        path=f"{NAMESPACE}:{key}",
        value="(not shown)",
        what="holds an encrypted value, which this program would write to the machines in clear",
        allowed=f"encrypted values only as {', '.join(SECRET_KEYS)}",
        remedy="Leave it out; give credentials to the machines by other means.",
    )


def needed_secrets(settings: Settings) -> dict[str, str]:
    """The secret keys this stack needs, and what for."""
    needed = {"sshHostKey": "the machines present this host key, and its public half is pinned"}
    if settings.ssh.agent_socket_path is None:
        needed["sshPrivateKey"] = "it is the private half of ssh.publicKey (or give ssh.agentSocketPath)"
    if settings.machine_count > 1:
        needed["rke2Token"] = "machines join the cluster with it"
    return needed


def _unset_secrets(settings: Settings, secrets: set[str], unsound: frozenset[str]) -> list[Problem]:
    known_broken = {"sshPrivateKey": "ssh", "rke2Token": "nodePools"}
    return [
        Problem(
            path=f"{NAMESPACE}:{key}",
            value="",
            what=f"this secret is not set: {reason}",
            remedy=f"`make new-stack` makes it, or: pulumi config set --secret {NAMESPACE}:{key} < FILE",
        )
        for key, reason in needed_secrets(settings).items()
        if key not in secrets and known_broken.get(key) not in unsound
    ]
