"""A request to the API server of these tests: its words, what it is about, and how the server says no."""

import re
from typing import NoReturn

from kubernetes_controllers import Objects

PLURALS = {"node": "nodes", "pod": "pods", "namespace": "namespaces", "ns": "namespaces", "po": "pods", "no": "nodes"}
PLURALS |= {"priorityclass": "priorityclasses", "pc": "priorityclasses"}
PLURALS |= {"configmap": "configmaps", "role": "roles", "rolebinding": "rolebindings", "lease": "leases"}
BUILT_IN = ("configmaps", "roles", "rolebindings", "leases")
"""Resources that every API server has; of the others the tests make the lists."""


class ApiError(Exception):
    """An answer with an error status: its reason and message."""

    def __init__(self, reason: str, message: str, details: str = "") -> None:
        super().__init__(f"Error from server ({reason}): {message}" if reason else message)
        self.details = details


class Request:
    """One request. `identity` is the node whose kubelet asks, None for an administrator."""

    def __init__(self, objects: Objects, words: tuple[str, ...], stdin: str, identity: str | None) -> None:
        self.facts, self.words, self.stdin, self.identity = objects, words, stdin, identity
        self.resources: dict[str, list[Objects]] = objects["resources"]
        for resource in BUILT_IN:
            self.resources.setdefault(resource, [])

    def option(self, *names: str) -> str | None:
        for index, word in enumerate(self.words):
            for name in names:
                if word == name:
                    return self.words[index + 1]
                if word.startswith(f"{name}="):
                    return word.partition("=")[2]
        return None

    def positional(self) -> list[str]:
        """The words that are neither options nor their values, after the verb."""
        found, skip = [], False
        for word in self.words[1:]:
            if skip:
                skip = False
            elif word in ("-c", "-n", "--namespace", "-l", "--selector", "--field-selector", "-o", "-f", "--raw"):
                skip = True
            elif not word.startswith("-") or word == "-":
                found.append(word)
        return found

    def named(self, resource: str, name: str) -> Objects:
        namespace = self.option("-n", "--namespace")
        for item in self.resources.get(resource, []):
            if item["metadata"]["name"] == name and namespace in (None, item["metadata"].get("namespace", namespace)):
                return item
        raise ApiError("NotFound", f'{resource} "{name}" not found')

    def is_meant(self, item: Objects) -> bool:
        namespace = self.option("-n", "--namespace")
        labels = item["metadata"].get("labels", {})
        for term in filter(None, (self.option("-l", "--selector") or "").split(",")):
            key, equal, value = term.partition("=")
            if (equal and labels.get(key) != value.lstrip("=")) or key not in labels:
                return False
        for term in filter(None, (self.option("--field-selector") or "").split(",")):
            found = re.fullmatch(r"([\w.]+?)(!=|==?)([\w.-]*)", term)
            assert found, f"field selector {term}"
            field: object = item
            for key in found[1].split("."):
                field = field.get(key, "") if isinstance(field, dict) else ""
            if (field == found[3]) != (found[2] != "!="):
                return False
        return namespace in (None, item["metadata"].get("namespace"))

    def forbid(self, what: str, why: str) -> NoReturn:
        raise ApiError("Forbidden", f'{what} is forbidden: User "system:node:{self.identity}" cannot do that: {why}')
