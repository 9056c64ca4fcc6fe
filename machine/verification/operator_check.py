"""The check of the GPU Operator: it calls its ClusterPolicy ready once all that it deploys is."""

from collections.abc import Sequence

from machine.documents.verification_report import Check
from machine.kubernetes.kubectl import Kubectl, RefusedError


def operator_check(kubectl: Kubectl, namespace: str, away: Sequence[str] = ()) -> Check:
    """What the ClusterPolicy says. `namespace`: the operator's. Raises AwayError.

    It cannot be ready while a node does not answer. `away`: such nodes for which it is not waited. They are not of the
    stack, or are removed after the verification, or their machines do not run, which another check says.
    """
    remedy = (
        f"`kubectl get pods -n {namespace} -o wide` shows what is not ready, and the log of its containers why;"
        f" the operator's own: `kubectl logs -n {namespace} -l app=gpu-operator`."
    )
    state = _state(kubectl)
    if away and state == "notReady":
        words = f"not checked: {', '.join(away)} does not answer and is not verified"
        return Check.of("ClusterPolicy", "", words, words, remedy)
    return Check.of("ClusterPolicy", "", "ready", state, remedy)


def _state(kubectl: Kubectl) -> str:
    try:
        policies = kubectl.get("clusterpolicies")
    except RefusedError as error:  # without the operator, the API server does not know the kind
        return str(error)
    states = [str(policy.get("status", {}).get("state", "")) for policy in policies]
    # The operator serves one and marks any other so.
    served = [state or "without a state" for state in states if state != "ignored"]
    return ", ".join(served) or "no ClusterPolicy"
