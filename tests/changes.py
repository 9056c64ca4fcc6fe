"""Edits of stack files, each with what becomes of every machine: written down by hand, by no program.

A machine's word is one of these:

    untouched   neither Azure nor the machine is told anything
    stays       something is changed or brought to it; RKE2, pods and instances go on
    restarted   RKE2 restarts once, pods go on
    pods        instances that pods may hold go, or the GPU changes its mode without a reboot
    rebooted    once
    resized     the virtual machine stops and starts with another size
    replaced    a new virtual machine under the old name
    refused     `pulumi up` ends before anything of it is touched
    new         it was not there before
    removed     it is not there afterwards

`pods, restarted` are both. Of a machine beside a refused one it is what becomes of it when the refused change is taken
back.
"""

from dataclasses import dataclass, field
from typing import Any

_A100, _SMALL = "Standard_NC24ads_A100_v4", "Standard_D4s_v5"
_CONTROL = {"name": "control", "vmSize": _SMALL}
_TRAIN = {"name": "train", "role": "agent", "vmSize": _A100, "migDevices": {"1g.10gb": 7}}
_EDGE = {"name": "edge", "role": "agent", "vmSize": _SMALL}
_PAIR = {**_EDGE, "name": "pair", "count": 2}
_HOPPER = {"name": "hopper", "role": "agent", "vmSize": "Standard_NC40ads_H100_v5"}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOb17UP1miHMTeHWq6yJNyR/ybc+QkLG70iACK5rSwsw"
_OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqygQ1mb0Ct3s0tf9WsPjjtVQ0Xl8WZNfTFsULe5i2e"
_AGENT = "/run/user/1000/agent.sock"
_OLD_IMAGE = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest"
_HPC_IMAGE = "microsoft-dsvm:ubuntu-hpc:2404:latest"

STACKS: dict[str, dict[str, Any]] = {
    "cluster": {"nodePools": [_CONTROL, _TRAIN, _EDGE], "mig": {"strategy": "single"}},
    "losable": {"nodePools": [_CONTROL, _TRAIN, _EDGE], "mig": {"strategy": "single"}, "clusterMayBeLost": True},
    "pairs": {"nodePools": [_CONTROL, _PAIR]},
    "room": {"nodePools": [_CONTROL, {**_TRAIN, "migDevices": {"1g.10gb": 3}}], "mig": {"strategy": "single"}},
    "older": {"nodePools": [_CONTROL, {**_EDGE, "firstMachine": "edge-0"}]},
    "manager": {"nodePools": [_CONTROL, _TRAIN], "mig": {"strategy": "single", "owner": "operator"}},
    "hopper": {"nodePools": [_CONTROL, _HOPPER], "mig": {"strategy": "mixed"}},
    "protected": {
        "nodePools": [_CONTROL, _TRAIN, _EDGE],
        "mig": {"strategy": "single"},
        "clusterMayBeLost": True,
        "vm": {"protect": True},
    },
    "two keys": {
        "nodePools": [_CONTROL, _TRAIN, _EDGE],
        "mig": {"strategy": "single"},
        "ssh": {"publicKey": PUBLIC_KEY, "otherPublicKeys": [_OTHER_KEY], "agentSocketPath": _AGENT},
    },
    "single": {"nodePools": [{**_TRAIN, "role": "server"}]},
}
"""The stacks before the edits: sections of stack files, without what every stack has."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Sections of the stack file that are other ones afterwards, and what becomes of the machines."""

    machines: dict[str, str]
    stack: str = "cluster"
    location: str = "westeurope"
    sections: dict[str, Any] = field(default_factory=dict)

    @property
    def before(self) -> dict[str, Any]:
        """The sections of the stack file before it."""
        return {"ssh": {"publicKey": PUBLIC_KEY}, **STACKS[self.stack]}

    @property
    def after(self) -> dict[str, Any]:
        """The sections of the edited stack file."""
        return {**self.before, **self.sections}


def _all(word: str) -> dict[str, str]:
    return dict.fromkeys(("control", "train", "edge"), word)


def _cluster(control: str, train: str, edge: str, /, **others: str) -> dict[str, str]:
    return {"control": control, "train": train, "edge": edge, **others}


def _change(machines: dict[str, str], /, **sections: object) -> Change:
    return Change(machines=machines, sections=sections)


def _pools(machines: dict[str, str], *pools: dict[str, Any], **sections: object) -> Change:
    return Change(machines=machines, sections={"nodePools": list(pools), **sections})


def _losable(machines: dict[str, str], /, **sections: object) -> Change:
    return Change(machines=machines, stack="losable", sections=sections)


def _protected(machines: dict[str, str], /, **sections: object) -> Change:
    return Change(machines=machines, stack="protected", sections=sections)


_ALL_ANEW = {"control": "once", "train": "once", "edge": "once"}
_REFUSED, _UNTOUCHED, _STAYS = _all("refused"), _all("untouched"), _all("stays")
_SERVER_REFUSED = _cluster("refused", "untouched", "untouched")
_TRAIN_STAYS = _cluster("untouched", "stays", "untouched")
_TRAIN_RESTARTED = _cluster("untouched", "restarted", "untouched")
_SINGLE, _MIXED = {"strategy": "single"}, {"strategy": "mixed"}

CHANGES: dict[str, Change] = {
    # Each key alone.
    "azure-native:location": Change(machines=_REFUSED, location="swedencentral"),
    "adminCidrs": _change(_UNTOUCHED, adminCidrs=["203.0.113.0/28"]),
    "ssh.publicKey": _change(_REFUSED, ssh={"publicKey": _OTHER_KEY}),
    "ssh.publicKey that they know": Change(
        machines=_STAYS,
        stack="two keys",
        sections={"ssh": {"publicKey": _OTHER_KEY, "otherPublicKeys": [PUBLIC_KEY], "agentSocketPath": _AGENT}},
    ),
    "ssh.otherPublicKeys": _change(_STAYS, ssh={"publicKey": PUBLIC_KEY, "otherPublicKeys": [_OTHER_KEY]}),
    "ssh.otherPublicKeys: one less": Change(
        machines=_STAYS, stack="two keys", sections={"ssh": {"publicKey": PUBLIC_KEY, "agentSocketPath": _AGENT}}
    ),
    "ssh.agentSocketPath": _change(_STAYS, ssh={"publicKey": PUBLIC_KEY, "agentSocketPath": _AGENT}),
    "mig.strategy": _change(_UNTOUCHED, mig=_MIXED),
    "mig.owner": _change(_TRAIN_RESTARTED, mig={**_SINGLE, "owner": "operator"}),
    "mig.onChange": _change(_TRAIN_STAYS, mig={**_SINGLE, "onChange": "drain"}),
    "nodePools: one more": _pools(
        _cluster(*["untouched"] * 3, more="new"), _CONTROL, _TRAIN, _EDGE, {**_EDGE, "name": "more"}
    ),
    "nodePools: one more in the middle": _pools(
        _cluster(*["untouched"] * 3, more="new"), _CONTROL, {**_EDGE, "name": "more"}, _TRAIN, _EDGE
    ),
    "nodePools: one less": _pools(_cluster("untouched", "untouched", "removed"), _CONTROL, _TRAIN),
    "nodePools: another order": _pools(_UNTOUCHED, _CONTROL, _EDGE, _TRAIN),
    "nodePools.name": _pools(
        _cluster("untouched", "untouched", "removed", other="new"), _CONTROL, _TRAIN, {**_EDGE, "name": "other"}
    ),
    "nodePools.role": Change(
        machines={"control": "untouched", "pair": "refused", "pair-1": "refused"},
        stack="pairs",
        sections={"nodePools": [_CONTROL, {**_PAIR, "role": "server"}]},
    ),
    "nodePools.count up": _pools(
        _cluster(*["untouched"] * 3, **{"train-1": "new"}), _CONTROL, {**_TRAIN, "count": 2}, _EDGE
    ),
    "nodePools.count of the servers up": _pools(
        _cluster(*["untouched"] * 3, **{"control-1": "new", "control-2": "new"}),
        {**_CONTROL, "count": 3},
        _TRAIN,
        _EDGE,
    ),
    "nodePools.count down": Change(
        machines={"control": "untouched", "pair": "untouched", "pair-1": "removed"},
        stack="pairs",
        sections={"nodePools": [_CONTROL, {**_PAIR, "count": 1}]},
    ),
    "nodePools.vmSize": _pools(
        _cluster("untouched", "resized", "untouched"), _CONTROL, {**_TRAIN, "vmSize": "Standard_NC48ads_A100_v4"}, _EDGE
    ),
    "nodePools.vmSize without a GPU": _pools(
        _cluster("resized", "untouched", "untouched"), {**_CONTROL, "vmSize": "Standard_D8s_v5"}, _TRAIN, _EDGE
    ),
    "nodePools.migDevices: fewer": _pools(
        _cluster("untouched", "pods", "untouched"), _CONTROL, {**_TRAIN, "migDevices": {"1g.10gb": 3}}, _EDGE
    ),
    "nodePools.migDevices: more": Change(
        machines={"control": "untouched", "train": "stays"},
        stack="room",
        sections={"nodePools": [_CONTROL, _TRAIN]},
    ),
    "nodePools.migDevices: off": _pools(
        _cluster("untouched", "rebooted", "untouched"), _CONTROL, {**_TRAIN, "migDevices": None}, _EDGE
    ),
    "nodePools.gpus": _pools(
        _cluster("untouched", "pods", "untouched"),
        _CONTROL,
        {**_TRAIN, "migDevices": None, "gpus": [{"devices": [0], "migDevices": {"1g.10gb": 2}}]},
        _EDGE,
    ),
    "nodePools.nodeLabels": _pools(_TRAIN_RESTARTED, _CONTROL, {**_TRAIN, "nodeLabels": {"example.org/a": "b"}}, _EDGE),
    "nodePools.nodeTaints": _pools(
        _cluster("untouched", "untouched", "restarted"), _CONTROL, _TRAIN, {**_EDGE, "nodeTaints": ["a=b:NoSchedule"]}
    ),
    "nodePools.firstMachine": Change(
        machines={"control": "untouched", "edge": "refused"}, stack="older", sections={"nodePools": [_CONTROL, _EDGE]}
    ),
    "driver.branch": _change(_cluster("untouched", "rebooted", "untouched"), driver={"branch": 595}),
    "driver.update": _change(_cluster("untouched", "rebooted", "untouched"), driver={"update": "2026-11"}),
    "driver.openKernelModules": _change(
        _cluster("untouched", "rebooted", "untouched"), driver={"openKernelModules": True}
    ),
    "toolkit.version": _change(_TRAIN_STAYS, toolkit={"version": "1.20.1-1"}),
    "toolkit.deviceListFromEnvironment": _change(_TRAIN_STAYS, toolkit={"deviceListFromEnvironment": True}),
    "rke2.version": _change(_all("restarted"), rke2={"version": "v1.36.5+rke2r1"}),
    "rke2.cni": _change(_SERVER_REFUSED, rke2={"cni": "cilium"}),
    "rke2.ingress": _change(_cluster("restarted", "untouched", "untouched"), rke2={"ingress": "traefik"}),
    "rke2.tlsSans": _change(_cluster("restarted", "untouched", "untouched"), rke2={"tlsSans": ["k8s.example.org"]}),
    "rke2.sha256": _change(_STAYS, rke2={"sha256": "a" * 64}),
    "rke2.cis": _change(_REFUSED, rke2={"cis": True}),
    "rke2.config": _change(_all("restarted"), rke2={"config": {"kubelet-arg": ["max-pods=64"]}}),
    "gpuOperator.version": _change(_UNTOUCHED, gpuOperator={"version": "v26.6.0"}),
    "gpuOperator.namespace": _change(_cluster("refused", "stays", "untouched"), gpuOperator={"namespace": "gpus"}),
    "gpuOperator.values": _change(_UNTOUCHED, gpuOperator={"values": {"dcgmExporter": {"enabled": False}}}),
    "gpuOperator.timeoutMinutes": _change(_UNTOUCHED, gpuOperator={"timeoutMinutes": 40}),
    "vm.adminUsername": _change(_REFUSED, vm={"adminUsername": "ops"}),
    "vm.image": _change(_REFUSED, vm={"image": _OLD_IMAGE}),
    "vm.osDisk.sizeGib": _change(_REFUSED, vm={"osDisk": {"sizeGib": 512}}),
    "vm.osDisk.type": _change(_REFUSED, vm={"osDisk": {"type": "StandardSSD_LRS"}}),
    "vm.securityType": _change(_REFUSED, vm={"securityType": "Standard"}),
    "vm.zone": _change(_REFUSED, vm={"zone": "2"}),
    "vm.spot": _change(_REFUSED, vm={"spot": {"evictionPolicy": "Deallocate"}}),
    "vm.autoShutdown": _change(_STAYS, vm={"autoShutdown": {"time": "1900"}}),
    "rebuild": _change(_cluster("untouched", "replaced", "replaced"), rebuild={"train": "once", "edge": "once"}),
    "rebuild of the only server": Change(
        machines=_cluster("replaced", "untouched", "untouched"),
        stack="losable",
        sections={"rebuild": {"control": "once"}},
    ),
    "clusterMayBeLost": _change(_UNTOUCHED, clusterMayBeLost=True),
    "vm.protect": _change(_UNTOUCHED, vm={"protect": True}),
    "vm.tags": _change(_STAYS, vm={"tags": {"team": "ml"}}),
    "network.cidr": _change(_UNTOUCHED, network={"cidr": "10.60.0.0/17"}),
    "network.subnetCidr": _change(_REFUSED, network={"subnetCidr": "10.60.8.0/24"}),
    "network.podCidr": _change(_SERVER_REFUSED, network={"podCidr": "10.44.0.0/16"}),
    "network.serviceCidr": _change(_SERVER_REFUSED, network={"serviceCidr": "10.45.0.0/16"}),
    "network.dnsLabel": _change(_cluster("stays", "untouched", "untouched"), network={"dnsLabel": "mlops-prod"}),
    "network.podsReachMetadata": _change(_STAYS, network={"podsReachMetadata": True}),
    "rollout.agentsAtOnce": _change(_UNTOUCHED, rollout={"agentsAtOnce": 2}),
    "verify.enabled": _change(_UNTOUCHED, verify={"enabled": False}),
    "verify.image": _change(_UNTOUCHED, verify={"image": "registry.example.org/vectoradd:1"}),
    "verify.timeoutMinutes": _change(_UNTOUCHED, verify={"timeoutMinutes": 30}),
    "sources.ubuntuApt": _change(_STAYS, sources={"ubuntuApt": "https://mirror.example.org/ubuntu"}),
    "sources.toolkitApt": _change(_TRAIN_STAYS, sources={"toolkitApt": "https://mirror.example.org/toolkit"}),
    "sources.rke2Artifacts": _change(_STAYS, sources={"rke2Artifacts": "https://mirror.example.org/rke2"}),
    "sources.imageArchives": _change(
        _STAYS, sources={"imageArchives": [f"https://mirror.example.org/images.tar#{'0' * 64}"]}
    ),
    "sources.gpuOperatorChart": _change(_UNTOUCHED, sources={"gpuOperatorChart": "https://mirror.example.org/charts"}),
    # Of other stacks.
    "manager: another layout": Change(
        machines={"control": "untouched", "train": "pods"},
        stack="manager",
        sections={"nodePools": [_CONTROL, {**_TRAIN, "migDevices": {"2g.20gb": 3}}]},
    ),
    "manager: gpuOperator.timeoutMinutes": Change(
        machines={"control": "untouched", "train": "untouched"},
        stack="manager",
        sections={"gpuOperator": {"timeoutMinutes": 40}},
    ),
    "manager: the host takes over": Change(
        machines={"control": "untouched", "train": "restarted"}, stack="manager", sections={"mig": _SINGLE}
    ),
    "hopper: MIG on": Change(
        machines={"control": "untouched", "hopper": "pods"},
        stack="hopper",
        sections={"nodePools": [_CONTROL, {**_HOPPER, "migDevices": {"7g.94gb": 1}}]},
    ),
    "single: the first agent": Change(
        machines={"train": "untouched", "edge": "new"},
        stack="single",
        sections={"nodePools": [{**_TRAIN, "role": "server"}, _EDGE]},
    ),
    "protected: nodePools: one less": _protected(
        _cluster("untouched", "untouched", "refused"), nodePools=[_CONTROL, _TRAIN]
    ),
    "protected: rebuild": _protected(
        _cluster("refused", "refused", "untouched"), rebuild={"train": "1", "control": "1"}
    ),
    "protected: vm.tags": _protected(_STAYS, vm={"protect": True, "tags": {"team": "ml"}}),
    "protected: vm.protect": _protected(_UNTOUCHED, vm={"protect": False}),
    # Pairs of keys.
    "protected: vm.protect, rebuild": _protected(
        _cluster("untouched", "replaced", "untouched"), vm={"protect": False}, rebuild={"train": "1"}
    ),
    "protected: vm.protect, nodePools: one less": _protected(
        _cluster("untouched", "untouched", "refused"), vm={"protect": False}, nodePools=[_CONTROL, _TRAIN]
    ),
    "rebuild, vm.adminUsername": _losable(_all("replaced"), rebuild=_ALL_ANEW, vm={"adminUsername": "ops"}),
    "rebuild, network.podCidr, rke2.cni, rke2.cis": _losable(
        _all("replaced"),
        rebuild=_ALL_ANEW,
        network={"podCidr": "10.44.0.0/16"},
        rke2={"cni": "cilium", "cis": True},
    ),
    "rebuild, vm.zone": _losable(_REFUSED, rebuild=_ALL_ANEW, vm={"zone": "2"}),
    "rebuild, network.subnetCidr": _losable(_REFUSED, rebuild=_ALL_ANEW, network={"subnetCidr": "10.60.8.0/24"}),
    "rebuild, azure-native:location": Change(
        machines=_REFUSED, stack="losable", location="swedencentral", sections={"rebuild": _ALL_ANEW}
    ),
    "vm.image, vm.securityType, driver.source": _change(
        _REFUSED, vm={"image": _HPC_IMAGE, "securityType": "Standard"}, driver={"source": "image"}
    ),
    "vm.tags, nodePools.name": _pools(
        _cluster("stays", "stays", "removed", other="new"),
        _CONTROL,
        _TRAIN,
        {**_EDGE, "name": "other"},
        vm={"tags": {"team": "ml"}},
    ),
    "nodePools.nodeLabels, nodePools.migDevices": _pools(
        _cluster("untouched", "pods, restarted", "untouched"),
        _CONTROL,
        {**_TRAIN, "nodeLabels": {"example.org/a": "b"}, "migDevices": {"1g.10gb": 3}},
        _EDGE,
    ),
    "mig.owner, nodePools.migDevices": _pools(
        _cluster("untouched", "pods, restarted", "untouched"),
        _CONTROL,
        {**_TRAIN, "migDevices": {"2g.20gb": 3}},
        _EDGE,
        mig={**_SINGLE, "owner": "operator"},
    ),
    "driver.branch, rke2.version": _change(
        _cluster("restarted", "rebooted", "restarted"), driver={"branch": 595}, rke2={"version": "v1.36.5+rke2r1"}
    ),
    "driver.branch, nodePools.migDevices": _pools(
        _cluster("untouched", "rebooted", "untouched"),
        _CONTROL,
        {**_TRAIN, "migDevices": {"1g.10gb": 3}},
        _EDGE,
        driver={"branch": 595},
    ),
    "nodePools: one less, another layout": _pools(
        _cluster("untouched", "pods", "removed"), _CONTROL, {**_TRAIN, "migDevices": {"1g.10gb": 1}}
    ),
    "nodePools.vmSize, nodePools.migDevices": _pools(
        _cluster("untouched", "resized", "untouched"),
        _CONTROL,
        {**_TRAIN, "vmSize": "Standard_NC48ads_A100_v4", "migDevices": {"1g.10gb": 3}},
        _EDGE,
    ),
    "network.podCidr, nodePools.migDevices": _pools(
        _cluster("refused", "pods", "untouched"),
        _CONTROL,
        {**_TRAIN, "migDevices": {"1g.10gb": 3}},
        _EDGE,
        network={"podCidr": "10.44.0.0/16"},
    ),
    "rke2.tlsSans, verify.enabled": _change(
        _cluster("restarted", "untouched", "untouched"),
        rke2={"tlsSans": ["k8s.example.org"]},
        verify={"enabled": False},
    ),
}
"""By what is edited: each key that a stack file has, then pairs."""
