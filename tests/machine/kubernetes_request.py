"""One request to the API server of these tests, refused as the real one refuses it.

A kubelet's own kubeconfig reads only its node and that node's pods (NodeAuthorizer, NodeRestriction), an eviction obeys
disruption budgets, dry run and preconditions, nothing is made twice or in a namespace that is not there, no pod in a
namespace whose service account a controller has not made yet, and none with a PriorityClass that admission does not
know, be it that it has not yet heard of a new one.
"""

import json
import re
from collections.abc import Sequence

from kubernetes_controllers import ACCOUNT_COMES, Objects, end, run_controllers
from kubernetes_scheduling import checkpoint

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

    def answer(self) -> str:
        """Standard output. Raises ApiError."""
        run_controllers(self.facts)
        verbs = {"get": self._get, "label": self._label, "create": self._create, "logs": self._logs}
        verbs |= {"delete": self._delete, "exec": self._exec, "cordon": self._cordon, "uncordon": self._cordon}
        verbs |= {"replace": self._replace, "apply": self._apply}
        if self.words[0] not in verbs:
            raise NotImplementedError(f"kubectl {' '.join(self.words)}")
        said = verbs[self.words[0]]()
        run_controllers(self.facts)
        return said

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

    def _forbid(self, what: str, why: str) -> None:
        raise ApiError("Forbidden", f'{what} is forbidden: User "system:node:{self.identity}" cannot do that: {why}')

    # ---- reading

    def _get(self) -> str:
        if self.option("--raw") == "/version":  # for everybody
            return json.dumps({"major": "1", "gitVersion": self.facts["version"]})
        kinds, *names = self.positional()
        resource = PLURALS.get(kinds, kinds)
        if resource not in self.resources:
            raise ApiError("", f'error: the server doesn\'t have a resource type "{kinds}"')
        fields = dict(re.findall(r"([\w.]+)=([\w.-]+)", self.option("--field-selector") or ""))
        if self.identity:
            own_node = resource == "nodes" and self.identity in (fields.get("metadata.name"), *names)
            own_pods = resource == "pods" and (names or fields.get("spec.nodeName") == self.identity)
            if not (own_node or own_pods or self._is_granted("get", resource, names)):
                self._forbid(resource, "a node reads its own Node object and, with spec.nodeName, its own pods")
        if names:
            return json.dumps(self.named(resource, names[0]))
        found = [item for item in self.resources[resource] if self._is_meant(item)]
        if resource == "pods":
            for item in found:  # the kubelet goes on while one looks
                item.setdefault("looks", 0)
                item["looks"] += 1
        shown = [{key: value for key, value in item.items() if key != "looks"} for item in found]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": shown})

    def _is_meant(self, item: Objects) -> bool:
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

    def _logs(self) -> str:
        if self.identity:
            self._forbid("pods/log", "a node reads no logs")
        name = self.positional()[0]
        pod = self.named("pods", name)
        if pod["status"].get("phase") == "Pending":
            raise ApiError("BadRequest", f'container "device" in pod "{name}" is waiting to start: ContainerCreating')
        given = [e["ids"] for e in self.facts["record"] if e["uid"] == pod["metadata"].get("uid")]
        seen = "".join(self.facts["device_logs"].get(id_.split("::")[0], "") for ids in given for id_ in ids)
        return str(self.facts["logs"].get(name, seen))

    def _exec(self) -> str:
        """In the device plugin's pod, which has the kubelet's folder and all GPUs of its node."""
        if self.identity:
            self._forbid("pods/exec", "a node runs nothing in pods")
        pod = self.named("pods", self.positional()[0])
        assert pod["metadata"]["labels"]["app"] == "nvidia-device-plugin-daemonset", self.words
        assert self.words[-5:-1] == ("nvidia-device-plugin", "--", "sh", "-c"), self.words
        node = pod["spec"]["nodeName"]
        assert self.words[-1] == "nvidia-smi -L; echo; cat /var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
        return f"{self.facts['listings'].get(node, '')}\n{json.dumps(checkpoint(self.facts, node))}"

    # ---- changing

    def _label(self) -> str:
        _, name, *changes = self.positional()
        if self.identity not in (None, name):
            self._forbid(f'nodes "{name}"', f'node "{self.identity}" is not allowed to modify node "{name}"')
        labels = self.named("nodes", name)["metadata"].setdefault("labels", {})
        for change in changes:
            key, equal, value = change.partition("=")
            if self.identity and "node-restriction.kubernetes.io/" in key:
                self._forbid(f'nodes "{name}"', f"is not allowed to modify labels: {key.rstrip('-')}")
            if not equal:
                labels.pop(key.removesuffix("-"), None)
            elif key in labels and labels[key] != value and "--overwrite" not in self.words:
                raise ApiError("", f"error: '{key}' already has a value ({labels[key]}), and --overwrite is false")
            else:
                labels[key] = value
        return f"node/{name} labeled\n"

    def _cordon(self) -> str:
        if self.identity not in (None, self.words[1]):
            self._forbid("nodes", f'node "{self.identity}" is not allowed to modify node "{self.words[1]}"')
        self.named("nodes", self.words[1]).setdefault("spec", {})["unschedulable"] = self.words[0] == "cordon"
        return f"node/{self.words[1]} {self.words[0]}ed\n"

    def _create(self) -> str:
        body = json.loads(self.stdin)
        if "--raw" in self.words:
            return self._evict(body)
        if self.identity:
            self._forbid("namespaces", "a node creates no objects")
        refused: list[str] = []
        if not body.get("items", [body]):
            raise ApiError("", "error: no objects passed to create")  # kubectl's own
        for item in body.get("items", [body]):
            try:
                self._create_one(item)
            except ApiError as error:
                refused.append(str(error))
        if refused:
            raise ApiError("", "\n".join(refused))
        return ""

    def _create_one(self, item: Objects) -> None:
        resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
        if resource == "pods":
            meta["namespace"] = meta.get("namespace") or self.option("-n", "--namespace") or "default"
            homes = [n["metadata"] for n in self.resources["namespaces"] if n["metadata"]["name"] == meta["namespace"]]
            if not homes:
                raise ApiError("NotFound", f'namespaces "{meta["namespace"]}" not found')
            if "deletionTimestamp" in homes[0]:
                words = f"unable to create new content in namespace {meta['namespace']} because it is being terminated"
                raise ApiError("Forbidden", f'pods "{meta["name"]}" is forbidden: {words}')
            self._admit(item, homes[0])
        same = [(i["metadata"]["name"], i["metadata"].get("namespace")) for i in self.resources[resource]]
        if (meta["name"], meta.get("namespace")) in same:
            raise ApiError("AlreadyExists", f'{resource} "{meta["name"]}" already exists')
        if "--dry-run=server" in self.words:
            return
        if resource not in BUILT_IN:
            item["status"] = {"phase": "Pending"} if resource == "pods" else {"phase": "Active"}
        if resource == "namespaces":
            meta["account"] = ACCOUNT_COMES
        self.facts["made"] += 1
        meta.setdefault("uid", f"uid-{meta['name']}-{self.facts['made']}")
        meta["resourceVersion"] = str(self.facts["made"])
        self.resources[resource].append(item)

    def _apply(self) -> str:
        if self.identity:
            self._forbid("roles", "a node gives no rights")
        item = json.loads(self.stdin)
        resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
        others = [each for each in self.resources[resource] if each["metadata"]["name"] != meta["name"]]
        self.resources[resource] = others
        self._create_one(item)
        return ""

    def _replace(self) -> str:
        """A version that somebody else has changed meanwhile is refused."""
        item = json.loads(self.stdin)
        resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
        if self.identity and not self._is_granted("update", resource, [meta["name"]]):
            self._forbid(resource, "a node changes no objects but its own")
        there = self.named(resource, meta["name"])
        if meta["resourceVersion"] != there["metadata"]["resourceVersion"]:
            words = "the object has been modified; please apply your changes to the latest version and try again"
            raise ApiError("Conflict", f'Operation cannot be fulfilled on {resource} "{meta["name"]}": {words}')
        self.resources[resource].remove(there)
        self._create_one(item)
        return ""

    def _is_granted(self, verb: str, resource: str, names: list[str]) -> bool:
        """Whether a Role gives this to all kubelets (RBAC), and admission (NodeRestriction) does not take it back."""
        roles = [
            binding["roleRef"]["name"]
            for binding in self.resources["rolebindings"]
            if {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"} in binding["subjects"]
        ]
        rules = [
            rule for role in self.resources["roles"] if role["metadata"]["name"] in roles for rule in role["rules"]
        ]
        return resource != "leases" and any(
            verb in rule["verbs"] and resource in rule["resources"] and names and names[0] in rule["resourceNames"]
            for rule in rules
        )

    def _admit(self, pod: Objects, home: Objects) -> None:
        """Give a pod its priority. Both that class and a namespace's account are known a moment after they are made."""
        if home.get("account"):
            account = f'{home["name"]}/default: serviceaccount "default" not found'
            words = f'pods "{pod["metadata"]["name"]}" is forbidden: error looking up service account {account}'
            raise ApiError("Forbidden", f'error when creating "STDIN": {words}')
        name = pod["spec"].get("priorityClassName")
        if name is None:
            return
        found = [each for each in self.resources["priorityclasses"] if each["metadata"]["name"] == name]
        if not found or not found[0].setdefault("asked", 0):
            for each in found:
                each["asked"] += 1
            words = f'pods "{pod["metadata"]["name"]}" is forbidden: no PriorityClass with name {name} was found'
            raise ApiError("Forbidden", f'error when creating "STDIN": {words}')
        pod["spec"] |= {"priority": found[0]["value"], "preemptionPolicy": found[0]["preemptionPolicy"]}

    def _evict(self, eviction: Objects) -> str:
        assert (eviction["apiVersion"], eviction["kind"]) == ("policy/v1", "Eviction"), eviction
        namespace, name = eviction["metadata"]["namespace"], eviction["metadata"]["name"]
        options = eviction["deleteOptions"]
        assert self.option("--raw") == f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", self.words
        there = [
            p
            for p in self.resources["pods"]
            if (p["metadata"]["namespace"], p["metadata"]["name"]) == (namespace, name)
        ]
        if not there:
            raise ApiError("NotFound", f'pods "{name}" not found')
        (pod,) = there
        if self.identity not in (None, pod["spec"].get("nodeName")):
            self._forbid(f'pods "{name}"', f"node {self.identity} can only evict pods with spec.nodeName set to itself")
        wanted = options.get("preconditions", {}).get("uid", pod["metadata"]["uid"])
        if wanted != pod["metadata"]["uid"]:
            words = (
                f"the UID in the precondition ({wanted}) does not match the UID in record ({pod['metadata']['uid']})"
            )
            raise ApiError("Conflict", f'Operation cannot be fulfilled on Pod "{name}": Precondition failed: {words}')
        self._obey_budgets(pod)
        if options.get("dryRun") != ["All"]:
            end(self.facts, pod, options.get("gracePeriodSeconds", 30))
        return '{"kind":"Status","status":"Success"}\n'

    def _obey_budgets(self, pod: Objects) -> None:
        budgets = self.facts["budgets"].get(pod["metadata"]["name"], [])
        if "deletionTimestamp" in pod["metadata"] or pod["status"].get("phase") in ("Succeeded", "Failed", "Pending"):
            return
        if len(budgets) > 1:
            words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise ApiError("InternalError", f"Internal error occurred: {words}")
        if budgets:
            # The log that -v=8 adds, and the error as it stands without.
            cause = f"The disruption budget {budgets[0]} needs 1 healthy pods and has 1 currently"
            body = {"message": "Cannot evict pod", "details": {"causes": [{"message": cause}]}}
            details = f"I1123 round_trippers.go:632 Response Body: {json.dumps(body)}\n"
            said = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError("TooManyRequests", said, details)

    def _delete(self) -> str:
        kind, *names = self.positional()
        if "/" in kind:
            for word in (kind, *names):
                self._delete_of(*word.split("/"))
            return ""
        return self._delete_of(kind, *names)

    def _delete_of(self, kind: str, *names: str) -> str:
        resource = PLURALS.get(kind, kind)
        if self.identity and resource != "pods":
            self._forbid(resource, "a node deletes its own pods only")
        if not names:
            assert "--all" in self.words or self.option("-l", "--selector"), self.words
            names = tuple(item["metadata"]["name"] for item in self.resources[resource] if self._is_meant(item))
        for name in names:
            try:
                item = self.named(resource, name)
            except ApiError:
                if "--ignore-not-found" not in self.words:
                    raise
                continue
            self._delete_one(resource, item)
        if resource == "pods" and "--wait=true" in self.words:
            self._wait_for_the_end_of(names)
        return ""

    def _delete_one(self, resource: str, item: Objects) -> None:
        name = item["metadata"]["name"]
        if resource == "pods":
            end(self.facts, item, item["spec"].get("terminationGracePeriodSeconds", 30))
        elif name in self.facts["stuck_nodes"]:  # a finalizer waits, for the etcd member of a server for example
            raise ApiError("", f"error: timed out waiting for the condition on nodes/{name}")
        elif resource == "namespaces" and "--wait=false" in self.words:
            item["metadata"]["deletionTimestamp"] = "2026-11-26T10:00:00Z"  # it is there for 5 s at least
        elif name in self.facts["stuck_namespaces"]:
            raise ApiError("", f"error: timed out waiting for the condition on namespaces/{name}")
        else:
            self.resources[resource].remove(item)
            home = {"namespaces": _namespace, "nodes": _node_name}.get(resource)
            self.resources["pods"] = [p for p in self.resources["pods"] if home is None or home(p) != name]

    def _wait_for_the_end_of(self, names: Sequence[str]) -> None:
        for pod in self.resources["pods"]:
            pod["looks"] = 1  # time goes by: each kubelet ends what it was told to
        run_controllers(self.facts)
        for pod in self.resources["pods"]:
            if self._is_meant(pod) and (name := pod["metadata"]["name"]) in names:
                raise ApiError("", f"error: timed out waiting for the condition on pods/{name}")


def _namespace(pod: Objects) -> object:
    return pod["metadata"]["namespace"]


def _node_name(pod: Objects) -> object:
    return pod["spec"].get("nodeName")
