"""An API server that answers kubectl in process. Its objects lie in a folder, so that several processes share them.

What it refuses is in the modules of its verbs, what happens by itself between two requests in kubernetes_controllers.
"""

import copy
import fcntl
import json
import marshal
import re
from collections.abc import Callable
from pathlib import Path

import kubernetes_changing as changing
import kubernetes_ending as ending
import kubernetes_reading as reading
from kubernetes_controllers import Objects, run_controllers
from kubernetes_request import ApiError, Request
from kubernetes_scheduling import checkpoint

from machine.host.program import Ended

REFUSED = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
Hook = Callable[[tuple[str, ...]], "Ended | None"]

_VERBS: dict[str, Callable[[Request], str]] = {
    "get": reading.get,
    "logs": reading.logs,
    "exec": reading.execute,
    "label": changing.label,
    "cordon": changing.cordon,
    "uncordon": changing.cordon,
    "create": lambda request: (ending.evict if "--raw" in request.words else changing.create)(request),
    "apply": changing.apply,
    "replace": changing.replace,
    "delete": ending.delete,
}
DAEMONS = {
    "nvidia.com/gpu.deploy.device-plugin": "nvidia-device-plugin-daemonset",
    "nvidia.com/gpu.deploy.gpu-feature-discovery": "gpu-feature-discovery",
    "nvidia.com/gpu.deploy.dcgm-exporter": "nvidia-dcgm-exporter",
}
"""The GPU Operator's: deploy label of the node -> `app` label of the pod."""
NEW: Objects = {
    "resources": {"nodes": [], "pods": [], "namespaces": [], "priorityclasses": []},
    "daemons": DAEMONS,
    "budgets": {},
    "owned": [],
    "stuck": [],
    "statuses": {},
    "logs": {},
    "device_logs": {},
    "devices": {},
    "record": [],
    "made": 0,
    "listings": {},
    "stuck_namespaces": [],
    "stuck_nodes": [],
    "away": False,
    "version": "v1.35.7+rke2r1",
}
"""`budgets`: pod -> names of the disruption budgets that forbid its eviction. `owned`: pods that their owner makes
again under the same name. `stuck`: pods that never end. `statuses`, `logs`: what becomes of a pod of that name.
`devices`: node -> resource -> what its device plugin registered; `record`: what its kubelet gave to whom; `listings`:
what nvidia-smi -L says there; `device_logs`: UUID -> what a pod says that was given it, unless `logs` has its name.
`away`: this machine's API server does not answer, as when its node, a server's, was deleted; `version`: what it is of.
Every other resource, such as `configmaps`, exists once it has a list."""


class KubernetesApi:
    """The API server. `answer` is what kubectl ends with; hooks run before an answer or are one."""

    def __init__(self, folder: Path, node_name: str, record: Path) -> None:
        self.folder, self.node_name, self.record = folder, node_name, record
        self.hooks: list[tuple[re.Pattern[str], Hook]] = []
        self.losses: list[tuple[re.Pattern[str], Hook]] = []
        self._file, self._draft, self._lock, self._calls = (
            folder / name for name in ("objects", "objects.new", "lock", "calls")
        )
        folder.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self.save(copy.deepcopy(NEW))

    # ---- what tests say and ask

    def objects(self) -> Objects:
        return _read(self._file.read_bytes())

    def save(self, objects: Objects, *, over: bytes = b"") -> None:
        """Keep the objects, unless they are what is kept already: `over`."""
        kept = _kept(objects)
        if kept == over:
            return
        self._draft.write_bytes(kept)
        self._draft.replace(self._file)
        if objects["devices"]:  # this machine's kubelet
            self.record.parent.mkdir(parents=True, exist_ok=True)
            self.record.write_text(json.dumps(checkpoint(objects, self.node_name)), encoding="utf-8")

    def change(self, **objects: object) -> None:
        """Replace lists of resources (`nodes=…, pods=…`) or facts (`budgets=…`)."""
        now = self.objects()
        for key, value in objects.items():
            (now if key in NEW and key != "resources" else now["resources"])[key] = value
        self.save(now)

    def listed(self, resource: str) -> list[Objects]:
        return list(self.objects()["resources"].get(resource, []))

    def labels(self, node: str | None = None) -> dict[str, str]:
        """The labels of a node, of this machine's own if none is named."""
        (found,) = [n for n in self.listed("nodes") if n["metadata"]["name"] == (node or self.node_name)]
        return dict(found["metadata"].get("labels", {}))

    def label(self, **changes: str | None) -> None:
        """Somebody else labels this machine's node; None removes a label."""
        objects = self.objects()
        (node,) = [n for n in objects["resources"]["nodes"] if n["metadata"]["name"] == self.node_name]
        for key, value in changes.items():
            if value is None:
                node["metadata"]["labels"].pop(key, None)
            else:
                node["metadata"]["labels"][key] = value
        self.save(objects)

    def submit(self, *pods: Objects) -> None:
        """A user makes pods, which wait for the scheduler."""
        objects = self.objects()
        objects["resources"]["pods"] += pods
        run_controllers(objects)
        self.save(objects)

    def end(self, name: str) -> None:
        """A pod of a user's ends by itself."""
        objects = self.objects()
        for pod in objects["resources"]["pods"]:
            if pod["metadata"]["name"] == name:
                pod["status"] = {"phase": "Succeeded"}
        run_controllers(objects)
        self.save(objects)

    def before(self, pattern: str, hook: Hook) -> None:
        """Call `hook` with kubectl's words before each answer to words that match; its answer, if any, is taken."""
        self.hooks.append((re.compile(pattern), hook))

    def after(self, pattern: str, hook: Hook) -> None:
        """The same after the answer: what it changed has been changed when the hook's answer takes its place."""
        self.losses.append((re.compile(pattern), hook))

    def stutter(self) -> None:
        """From now on whatever is asked reaches nobody the first time."""
        asked: set[tuple[str, ...]] = set()

        def hook(words: tuple[str, ...]) -> Ended | None:
            if words in asked:
                return None
            asked.add(words)
            return Ended(words, 1, "", REFUSED)

        self.before("", hook)

    def calls(self, beginning: str = "") -> list[str]:
        lines = self._calls.read_text(encoding="utf-8").splitlines() if self._calls.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def forget_calls(self) -> None:
        self._calls.unlink(missing_ok=True)

    # ---- kubectl

    def answer(self, command: tuple[str, ...], stdin: str) -> Ended:
        """What `kubectl --kubeconfig … --request-timeout=… WORDS` ends with."""
        assert command[1] == "--kubeconfig", command
        assert command[3].startswith("--request-timeout="), command
        words = command[4:]
        address = ""
        if words[0].startswith("--server="):
            address = words[0].removeprefix("--server=https://").removesuffix(":6443")
            assert words[1] == "--tls-server-name=kubernetes", command
            words = words[2:]
        with self._calls.open("a", encoding="utf-8") as calls:
            calls.write(f"kubectl {' '.join((*([f'@{address}'] if address else []), *words))}\n")
        if not Path(command[2]).exists():
            return Ended(command, 1, "", f'error: error loading config file "{command[2]}": no such file or directory')
        if (ended := _first(self.hooks, words)) is not None:
            return ended
        identity = self.node_name if command[2].endswith("kubelet.kubeconfig") else None
        ended = self._answered(command, words, stdin, identity, address)
        return _first(self.losses, words) or ended

    def _answered(
        self, command: tuple[str, ...], words: tuple[str, ...], stdin: str, identity: str | None, address: str
    ) -> Ended:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._file.read_bytes()
            objects = _read(before)
            if address and address not in _answering(objects):
                said = f"Unable to connect to the server: dial tcp {address}:6443: connect: no route to host"
                return Ended(command, 1, "", said)
            if objects["away"] and not address:
                return Ended(command, 1, "", REFUSED)
            request = Request(objects, words, stdin, identity)
            try:
                said = _answer(request)
            except ApiError as error:
                self.save(objects, over=before)  # of a list, those before the refused one are made
                details = error.details if "-v=8" in words else ""
                return Ended(command, 1, "", f"{details}{error}\n")
            if words[:3] == ("delete", "node", self.node_name):  # its etcd member has gone
                objects["away"] = True
            self.save(objects, over=before)
            return Ended(command, 0, said, "")


def _first(hooks: list[tuple[re.Pattern[str], Hook]], words: tuple[str, ...]) -> Ended | None:
    """The first answer that a hook has for these words."""
    answers = (hook(words) for pattern, hook in hooks if pattern.search(" ".join(words)))
    return next((answer for answer in answers if answer is not None), None)


def _answer(request: Request) -> str:
    """Standard output. Raises ApiError."""
    verb = request.words[0]
    if verb not in _VERBS:
        raise NotImplementedError(f"kubectl {' '.join(request.words)}")
    run_controllers(request.facts)
    said = _VERBS[verb](request)
    run_controllers(request.facts)
    return said


def _kept(objects: Objects) -> bytes:
    """The same bytes for the same objects. A run has thousands of requests, and JSON would take half of their time."""
    return marshal.dumps(objects, 2)  # of this version nothing stands for what came before: equal is equal


def _read(kept: bytes) -> Objects:
    return dict(marshal.loads(kept))  # noqa: S302 - written by these tests


def _answering(objects: Objects) -> set[str]:
    """The addresses by which an API server answers."""
    return {
        address["address"]
        for found in objects["resources"]["nodes"]
        if "node-role.kubernetes.io/etcd" in found["metadata"]["labels"]
        and found["status"]["conditions"][0]["status"] == "True"
        for address in found["status"]["addresses"]
    }
