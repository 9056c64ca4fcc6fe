"""A live node whose instances MIG Manager makes, and MIG Manager itself."""

from a_live_node import RUNNING, LiveNode
from a_machine import FIRST_BOOT, NAME
from gpus import Gpus
from kubernetes_objects import node, pod

from machine.documents.layout import GpuLayout, Layout, OnChange
from machine.documents.mig_manager_layout import MigManagerLayout

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
MANAGER = f"nvidia-mig-manager-{NAME}"


def document(*gpus: GpuLayout, on_change: OnChange = "refuse", seconds: int = 60) -> str:
    wanted = Layout(gpus, on_change)
    return MigManagerLayout("new", "map", "nvidia", seconds, NAME, wanted).to_json()


class MigManager:
    """MIG Manager on the live node: it sees a changed label, says what it does, and makes the instances by then."""

    def __init__(self, live: LiveNode) -> None:
        self.live, self.states, self.makes = live, ["pending", "success"], ""
        self.config = live.api.labels().get(CONFIG)
        self.runs("map")
        live.api.before("get nodes|label node", self.work)

    def runs(self, *config_maps: str) -> None:
        """The pods of MIG Manager, each with a configuration."""
        others = [item for item in self.live.api.listed("pods") if "mig-manager" not in item["metadata"]["name"]]
        mine = []
        for number, config_map in enumerate(config_maps):
            made = pod(f"{MANAGER}-{number}", NAME, f"uid-{number}", labels={"app": "nvidia-mig-manager"})
            made["spec"]["volumes"] = [{"name": "host"}, {"configMap": {"name": config_map}}]
            mine.append({**made, "metadata": {**made["metadata"], "namespace": "nvidia"}})
        self.live.api.change(pods=[*others, *mine])

    def work(self, _words: tuple[str, ...]) -> None:
        config = self.live.api.labels().get(CONFIG)
        if config is None:
            self.config = None
        if config == self.config:
            return
        if not self.states:
            self.config = config
            return
        state = self.states.pop(0)
        if state == "success" and self.makes:
            self.live.gpus.smi("mig", "-dci")
            self.live.gpus.smi("mig", "-dgi")
            self.live.gpus.smi("mig", "-cgi", self.makes, "-C")
        self.live.api.label(**{STATE: state})


def owned_node(gpus: Gpus) -> LiveNode:
    """Seven devices that MIG Manager made."""
    made = LiveNode(gpus)
    made.machine.path("/etc/mig-k8s/layout.json").unlink()
    labels = {**RUNNING, CONFIG: "old", STATE: "success"}
    made.api.change(nodes=[node(NAME, FIRST_BOOT, {}, labels)])
    made.api.forget_calls()
    return made


def mig_labels(live: LiveNode) -> dict[str, str]:
    return {key: value for key, value in live.api.labels().items() if key in (CONFIG, STATE)}
