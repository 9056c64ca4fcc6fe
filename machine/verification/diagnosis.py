"""Why a node does not offer the resources that are expected, as far as this machine can tell; and what to do."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from machine.documents.expectations import ExpectedNode
from machine.gpu.nvidia_smi import NvidiaSmi, listed_gpus
from machine.host.errors import GpuError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.gpu_clients import DEVICE_PLUGIN, PAUSED
from machine.kubernetes.kubectl import Kubectl
from machine.mig_manager.label import APP, CONFIG, STATE
from machine.verification import pod_trouble
from machine.verification.node_checks import counted

_MISMATCH = "Driver/library version mismatch"
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Diagnosis:
    """What finds the reason. `operator_namespace` is the GPU Operator's, which the remedies name."""

    machine: ThisMachine
    kubectl: Kubectl
    operator_namespace: str

    def remedy(self, expected: ExpectedNode, node: Mapping[str, Any]) -> str:
        """The likeliest reason and the way out. `node` is the node's object. Raises RefusedError, AwayError."""
        labels: Labels = node["metadata"].get("labels", {})
        is_here = expected.name == self.machine.node_name()
        instances = ""
        if is_here and expected.devices:
            try:
                listed = NvidiaSmi(self.machine).say("-L")
                if _MISMATCH in listed:
                    return f"The driver's packages were upgraded under the loaded module ({_MISMATCH}): reboot it."
                instances = self._instances(expected, labels, listed)
            except GpuError as error:
                return f"{error}."
        return (
            self._mig_manager(expected, labels, may_be_removed=not is_here or instances != "")
            or _paused_clients(expected.name, labels)
            or instances
            or self._device_plugin(expected.name, labels, is_here=is_here)
        )

    def _mig_manager(self, expected: ExpectedNode, labels: Labels, *, may_be_removed: bool) -> str:
        config, state = labels.get(CONFIG), labels.get(STATE)
        if config == "all-disabled" and may_be_removed and any(device.profile for device in expected.devices):
            return (
                f"MIG Manager removed the instances ({CONFIG}=all-disabled, {state}): enabled, it does so on a node"
                " without that label. Disable it (`pulumi up --refresh` with migManager.enabled=false), then `kubectl"
                f" label node {expected.name} {CONFIG}-`, then reboot the node: it makes mode and instances again."
            )
        if state in ("pending", "rebooting", "failed"):
            words = "failed at" if state == "failed" else f"is stuck ({state}) at"
            return (
                f"MIG Manager {words} {CONFIG}={config}: `kubectl logs -n {self.operator_namespace} -l"
                f" app={APP}` tells why; deleted (`kubectl delete pod`), it begins anew and starts paused"
                " clients again."
            )
        return ""

    def _instances(self, expected: ExpectedNode, labels: Labels, listed: str) -> str:
        """What is wrong with the instances of this machine itself."""
        wanted = Counter(device.profile for device in expected.devices if device.profile)
        seen = Counter(device.profile for gpu in listed_gpus(listed) for device in gpu.devices)
        if not wanted or seen == wanted:
            return ""
        words = f"The GPU itself has {counted(seen) if seen else 'no MIG device'}"
        modes = NvidiaSmi(self.machine).modes().values()
        if any("Disabled" in (mode.current, mode.pending) for mode in modes):
            return f"{words} and its MIG mode is off, or will be: reboot the node, which sets the mode first thing."
        if CONFIG in labels:
            says = f"MIG Manager says {labels.get(STATE)} for {CONFIG}={labels[CONFIG]}"
            restart = f"`kubectl delete pod -n {self.operator_namespace} -l app={APP}`"
            return f"{words}, although {says}: {restart} makes it look again."
        return (
            f"{words}: something removed them, or they were never made. "
            "`sudo systemctl restart mig-k8s-instances` there makes them again; its journal tells more."
        )

    def _device_plugin(self, name: str, labels: Labels, *, is_here: bool) -> str:
        daemon = ("-A", "-l", f"app={DEVICE_PLUGIN}")
        plugin = self.kubectl.get("pods", *daemon, f"--field-selector=spec.nodeName={name}")
        if not plugin:
            return (
                f"No device plugin pod is on the node: `kubectl get clusterpolicy,pods -n {self.operator_namespace}`"
                " tells how far the operator is; it needs the label feature.node.kubernetes.io/pci-10de.present or"
                " nvidia.com/gpu.present."
            )
        if trouble := [words for pod in plugin if (words := pod_trouble.trouble(pod))]:
            return f"The device plugin does not run ({'; '.join(trouble)}): its log has the reason."
        proof = "MIG Manager's success does not prove it. " if labels.get(STATE) == "success" else ""
        restart = f"`kubectl delete pod -n {self.operator_namespace} -l app={DEVICE_PLUGIN}`"
        looked = f"{proof}The device plugin runs but looked at the GPU before the change: restart it ({restart})."
        return looked if is_here else f"{looked} If `nvidia-smi -L` there lacks instances: `pulumi up`, or reboot it."


def _paused_clients(name: str, labels: Labels) -> str:
    paused = sorted(key for key, value in labels.items() if value == PAUSED)
    if not paused:
        return ""
    way_out = f"`sudo mig-k8s start-clients` there, or `kubectl label --overwrite node {name} LABEL=true`"
    return f"GPU clients are paused ({', '.join(paused)}): {way_out}, starts them again."
