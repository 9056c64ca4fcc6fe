"""Tokens and passwords by which machines join, each derived from the stack's one secret by a one-way function."""

import hashlib
import hmac


def agent_token(server_token: str) -> str:
    """The token by which agents join: whoever has it can become an agent, and neither a server nor an administrator."""
    return hmac.new(server_token.strip().encode(), b"mig-k8s: the agents' token", hashlib.sha256).hexdigest()


def node_password(server_token: str, node: str) -> str:
    """The password by which the cluster knows a machine as the node that it was: a rebuilt one keeps its name."""
    return hashlib.sha256(f"{node}\n{server_token.strip()}\n".encode()).hexdigest()
