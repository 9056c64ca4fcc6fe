"""Operations that a killed engine began without noting their end: noted now, or taken out of the state and done again.

What is in the state and was not finished is done again, also where the stack file has been put back to what it was:
nobody knows how far it came. The engine updates what has errors of its initialization, though its inputs are the same.
"""

from collections.abc import Iterator
from typing import Any

from scripts.azure_resources import PREFIX, Azure, azure_of, identifier, subscription_of
from scripts.engine import Engine
from scripts.stack import StackError

_AGAIN = {
    "creating": "was being made: the next `pulumi up` makes it",
    "updating": "was being changed: the next `pulumi up` changes it",
    "deleting": "was being deleted: the next `pulumi up` deletes what is left of it",
}


def settle(engine: Engine) -> Iterator[str]:
    """End every pending operation of the state, in one change of it, and say how; nothing where there is none.

    What Azure was to make is asked for. Everything else of ours may be cut off anywhere and is run again.
    """
    state = engine.exported()
    deployment = state["deployment"]
    pending: list[dict[str, Any]] = deployment.get("pending_operations") or []
    if not pending:
        return
    resources: list[dict[str, Any]] = list(deployment.get("resources") or ())
    lines, asked = [], []
    for operation in pending:
        resource, doing = operation["resource"], operation["type"]
        noted = _is_noted(resource, resources)
        if doing == "creating" and resource["type"].startswith(PREFIX):
            if noted:
                lines.append(f"{_called(resource)} is in the state")
            else:
                asked.append(resource)
            continue
        if noted and not resource.get("delete"):  # one that has been replaced only has to be deleted
            _have_done_again(resource, resources)
        lines.append(f"{_called(resource)} {_AGAIN.get(doing, f'was at `{doing}`: no more')}")
    if asked:
        subscription = subscription_of(engine, resources)
        with azure_of(engine) as azure:
            lines += [_found(azure, resource, resources, subscription) for resource in asked]
    if engine.exported() != state:
        raise StackError("the state changed meanwhile: another Pulumi works on this stack. Nothing was changed")
    deployment["resources"] = resources
    del deployment["pending_operations"]
    engine.replace(state)
    yield from lines


def _found(azure: Azure, resource: dict[str, Any], resources: list[dict[str, Any]], subscription: str) -> str:
    """Add the resource to the state if Azure has it, as the engine would have noted it. Returns what to say."""
    versions = [each["inputs"].get("version", "") for each in resources if _refers_to(resource, each)]
    resource_id = identifier(resource["type"], resource["inputs"], subscription)
    outputs = azure.outputs(resource["type"], resource_id, versions[0] if versions else "")
    if outputs is None:
        return f"{_called(resource)} {_AGAIN['creating']}; Azure does not have it"
    # The inputs are those of the program. What Azure gives back is both more and less: the next run would see changes.
    noted = {**resource, "id": resource_id, "outputs": outputs}
    replaced = [number for number, each in enumerate(resources) if each["urn"] == resource["urn"]]
    if replaced:  # deleted for this one
        resources[replaced[0]] = noted
    else:
        resources.append(noted)
    state = outputs.get("provisioningState", "Succeeded")
    more = "" if state == "Succeeded" else f", as {state}"
    return f"{_called(resource)} was being made: Azure has it{more}, and now the state does"


def _have_done_again(resource: dict[str, Any], resources: list[dict[str, Any]]) -> None:
    for number, each in enumerate(resources):
        if each["urn"] == resource["urn"] and not each.get("delete"):
            resources[number] = {**each, "initErrors": ["a run that was interrupted may have changed it"]}


def _is_noted(resource: dict[str, Any], resources: list[dict[str, Any]]) -> bool:
    """Whether an earlier run has finished it; one that is waiting for its replacement is gone."""
    return any(each["urn"] == resource["urn"] and not each.get("pendingReplacement") for each in resources)


def _refers_to(resource: dict[str, Any], provider: dict[str, Any]) -> bool:
    return bool(resource.get("provider", "").rpartition("::")[0] == provider["urn"])


def _called(resource: dict[str, Any]) -> str:
    return f"{resource['type']} {resource['urn'].rsplit('::', 1)[1]}"
