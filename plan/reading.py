"""From the mapping of a stack file to `Settings`, with every problem of the file in one report."""

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from plan.problems import Problem, Problems, nearest_word
from plan.rules import broken_rules
from plan.stack_file.settings import Settings
from plan.stack_file.shapes import KNOWN_KEYS, NAMESPACE, SECRET_KEYS, shape_problem
from plan.stack_file.strict_yaml import DEEPEST

_SOUND = {
    "location": "westeurope",
    "adminCidrs": ["203.0.113.7/32"],
    "ssh": {"publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv"},
}
"""They take the place of a required section that is broken, so that the rules can still check the others."""


def read_settings(
    mapping: Mapping[str, Any], *, location: object, secrets: Iterable[str], ask_for_secrets: bool = True
) -> Settings:
    """The settings of a stack.

    `mapping` holds the keys of the namespace `mig-k8s` without it; `location` is `azure-native:location` (None = not
    set); `secrets` are the keys that are, or hold, encrypted values. A secret key in `mapping` is one in clear.
    `ask_for_secrets`: whether a secret that is not set yet is a problem. Raises Problems with everything that is wrong.
    """
    clear = [key for key in SECRET_KEYS if mapping.get(key) is not None]
    misplaced = sorted(key for key in secrets if key in mapping and key not in SECRET_KEYS)
    deep = sorted(key for key, value in mapping.items() if _too_deep(value, DEEPEST) and key not in misplaced)
    problems = [*map(_in_clear, clear), *map(_misplaced, misplaced), *map(_nested, deep)]
    config = {key: value for key, value in mapping.items() if key not in {*SECRET_KEYS, *misplaced, *deep}}
    if location is not None:
        config["location"] = location
    try:
        settings, unsound = Settings.model_validate_json(json.dumps(config)), frozenset([*misplaced, *deep])
    except ValidationError as error:
        faults = [fault for fault in error.errors(include_url=False) if fault["loc"][0] not in {*misplaced, *deep}]
        problems += [shape_problem(fault) for fault in faults]
        unsound = frozenset([*misplaced, *deep, *(_section(fault["loc"]) for fault in faults)])
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
    if key not in KNOWN_KEYS:
        near = nearest_word(key, [*KNOWN_KEYS, *SECRET_KEYS])
        remedy = f"Did you mean {near}?" if near else "Leave it out."
        return Problem(path=f"{NAMESPACE}:{key}", value="(not shown)", what="unknown key", remedy=remedy)
    return Problem(
        path=f"{NAMESPACE}:{key}",
        value="(not shown)",
        what="holds an encrypted value, which this program would write to the machines in clear",
        allowed=f"encrypted values only as {', '.join(SECRET_KEYS)}",
        remedy="Write it in clear if it is not a secret; give credentials to the machines by other means.",
    )


def _nested(key: str) -> Problem:
    return Problem(
        path=f"{NAMESPACE}:{key}",
        value="",
        what="nested too deeply for a stack file",
        allowed=f"at most {DEEPEST} levels",
    )


def _too_deep(value: object, levels: int) -> bool:
    """Whether more than `levels` levels of lists and mappings are in it; readers of JSON give up at some depth."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_too_deep(each, levels - 1) for each in below if isinstance(each, dict | list))


def needed_secrets(settings: Settings, known: Container[str]) -> dict[str, str]:
    """The secret keys this stack needs, and what for. `known`: those that it has."""
    needed = {
        # A stack from before the machines had host keys of their own has the key of all of them instead.
        ("sshHostKey" if "sshHostKey" in known else "sshHostSecret"): "the machines' SSH host keys are derived from it",
        "rke2Token": "servers start with it and machines join with it; a cluster that runs without it takes it over",
    }
    if settings.ssh.agent_socket_path is None:
        needed["sshPrivateKey"] = "it is the private half of ssh.publicKey (or give ssh.agentSocketPath)"
    return needed


def how_to_set(key: str) -> str:
    """The command that sets a secret; a token is made by it, since nobody has one yet."""
    command = f"pulumi config set --secret {NAMESPACE}:{key}"
    made = {"rke2Token": "openssl rand -hex 32", "sshHostSecret": "echo a:$(openssl rand -hex 32)"}
    return f"{made[key]} | {command}" if key in made else f"{command} < FILE"


def _unset_secrets(settings: Settings, secrets: set[str], unsound: frozenset[str]) -> list[Problem]:
    known_broken = {"sshPrivateKey": "ssh"}
    return [
        Problem(
            path=f"{NAMESPACE}:{key}",
            value="",
            what=f"this secret is not set: {reason}",
            remedy=f"`make new-stack` makes it, or: {how_to_set(key)}",
        )
        for key, reason in needed_secrets(settings, secrets).items()
        if key not in secrets and known_broken.get(key) not in unsound
    ]
