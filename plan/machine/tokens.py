"""What machines join the cluster with, each derived from the stack's one secret by a function with no way back."""

import hashlib
import hmac


def agent_token(server_token: str) -> str:
    """What agents join with: whoever has it can become an agent, and neither a server nor an administrator."""
    return hmac.new(server_token.strip().encode(), b"mig-k8s: the agents' token", hashlib.sha256).hexdigest()


def node_password(server_token: str, node: str) -> str:
    """What tells the cluster that a machine is the node it was before, so that a replaced one keeps its name."""
    return hashlib.sha256(f"{node}\n{server_token.strip()}\n".encode()).hexdigest()
