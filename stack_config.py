"""The stack's configuration as the engine gives it: plain values for plan/, and the secrets, which plan/ never gets."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from components.machine import SshKeys
from plan import HostKey, HostKeys, Problem, Problems, is_of_another_pair
from plan.stack_file.shapes import HOST_SECRETS, SECRET_KEYS

NAMESPACE = "mig-k8s"


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Everything a stack file says."""

    values: dict[str, Any]
    """By key without namespace; without the secret keys, unless they stand there in clear."""
    location: str | None
    secret_keys: frozenset[str]
    """Keys of the namespace whose values are encrypted."""

    def token(self) -> pulumi.Output[str]:
        """The cluster's server token."""
        return pulumi.Config(NAMESPACE).require_secret("rke2Token")

    def ssh_keys(self, public_key: str) -> SshKeys:
        """The keys of the machines and of the administrator, whose `public_key` this is.

        Raises Problems when machines can not show the host keys, or the administrator's private key is of another pair.
        """
        config = pulumi.Config(NAMESPACE)
        if is_of_another_pair(config.get("sshPrivateKey") or "", public_key):
            problem = _of_secret(
                "sshPrivateKey",
                "is not the private half of ssh.publicKey, so no machine would let this program in",
                f"Set the one that is: pulumi config set --secret {NAMESPACE}:sshPrivateKey < KEY. Both are "
                "changed at once, when all machines know the new key: docs/operations.md, `Change the SSH key`.",
            )
            raise Problems([problem])
        shared, secret, other = (config.get(key) for key in ("sshHostKey", *HOST_SECRETS))
        try:
            # Read in clear only to take out their public halves, which are not secret.
            given = HostKey.given(shared) if shared else None
        except ValueError as error:
            allowed = "an ed25519 private key in OpenSSH format, without a passphrase"
            remedy = f"ssh-keygen -t ed25519 -N '' -f KEY; pulumi config set --secret {NAMESPACE}:sshHostKey < KEY"
            raise Problems([_of_secret("sshHostKey", str(error), remedy, allowed)]) from None
        try:
            hosts = HostKeys(given, secret or "", other or "")
        except ValueError as error:
            remedy = "docs/operations.md, `Change the host keys`, says which one comes after which."
            raise Problems([_of_secret(HOST_SECRETS[0 if secret else 1], str(error), remedy)]) from None
        return SshKeys(
            hosts=hosts,
            digest_key=pulumi.Output.secret(shared or secret or ""),
            admin_private=config.get_secret("sshPrivateKey"),
        )


def _of_secret(key: str, what: str, remedy: str, allowed: str = "") -> Problem:
    return Problem(path=f"{NAMESPACE}:{key}", value="(not shown)", what=what, allowed=allowed, remedy=remedy)


def stack_config() -> StackConfig:
    """The configuration of the stack that is running.

    `pulumi.Config` answers for the one key it is asked for and cannot list keys, so a misspelt key would be ignored in
    silence. The runtime's mapping, from which Config itself reads, holds them all: full key → text, JSON for lists and
    objects.
    """
    texts = CONFIG.get()
    ours = {
        full.removeprefix(f"{NAMESPACE}:"): text for full, text in texts.items() if full.startswith(f"{NAMESPACE}:")
    }
    secret_keys = frozenset(key for key in ours if is_config_secret(f"{NAMESPACE}:{key}"))
    return StackConfig(
        values={key: _value(text) for key, text in ours.items() if key not in secret_keys.intersection(SECRET_KEYS)},
        location=texts.get("azure-native:location"),
        secret_keys=secret_keys,
    )


def _value(text: str) -> Any:  # noqa: ANN401 - whatever the stack file holds
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):  # nested without end: no section is text, so plan/ refuses it
        return text
