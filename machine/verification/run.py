"""One run of the verification: nodes first, then the devices, within its time; and nothing is left afterwards."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from machine.documents.expectations import Expectations
from machine.documents.verification_report import Check, ProvenDevice, VerificationReport
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.errors import GpuError, NodeError
from machine.host.signals import Interrupted, ignored
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import Kubectl
from machine.kubernetes.node import is_ready
from machine.verification import certificates, devices, snapshots
from machine.verification.diagnosis import Diagnosis
from machine.verification.in_use import InUse, Listed, listed_devices
from machine.verification.isolation import Isolation
from machine.verification.node_checks import ALLOCATABLE, node_checks
from machine.verification.operator_check import operator_check
from machine.verification.pod_namespace import DELETE_SECONDS, PodNamespace
from machine.verification.pods import ImagePull, pods_of
from machine.verification.polling import Polling
from machine.verification.progress import Progress
from machine.verification.proof_by_pods import ProofByPods
from machine.verification.surplus import Surplus
from machine.verification.version_checks import version_checks

_LEAST_POD_SECONDS = 60


class Verification:
    """One run against the expectations."""

    def __init__(self, machine: ThisMachine, kubectl: Kubectl, expected: Expectations) -> None:
        self._machine, self._kubectl = machine, kubectl
        self._expected = replace(expected, nodes=tuple(node for node in expected.nodes if node.away is None))
        self._of_away = [
            Check.of("machine", node.name, "running", node.away.seen, node.away.remedy)
            for node in expected.nodes
            if node.away
        ]
        self._progress = Progress(machine.clock)
        self._polling = Polling(machine.clock, self._progress)
        self._deadline = machine.clock.monotonic() + expected.timeout_seconds
        # While an API server is away, polling looks again and tells so: kubectl itself need not wait.
        self._looking = replace(kubectl, away_seconds=0)
        seconds = int(max(expected.timeout_seconds, _LEAST_POD_SECONDS)) + DELETE_SECONDS
        self._namespace = PodNamespace(self._looking, expected.namespace, expected.image, seconds)
        self._pods = list(pods_of(self._expected.nodes))
        self._is_begun = False
        self._pulling: set[str] = set()
        self._checks: list[Check] = []
        self._devices: tuple[ProvenDevice, ...] = ()
        self._smi = NvidiaSmi(machine)
        self._warned: tuple[str, ...] = ()
        self._ending: tuple[str, ...] = ()

    def run(self) -> VerificationReport:
        """Prove everything. Raises RefusedError, AwayError and Interrupted, after cleaning up."""
        started = self._machine.clock.utc()
        try:
            try:
                if self._nodes() and self._pods:
                    self._prove_devices()
            finally:
                self._clean_up()
        except Interrupted:
            self._clean_up()  # the signal may have come on the way to the first one; now no other can
            raise
        checks = (*self._of_away, *self._checks)
        passed = bool(checks) and all(check.passed for check in checks)
        seconds = round(self._progress.seconds, 1)
        warnings = tuple(dict.fromkeys([*self._smi.warned, *self._warned]))
        ages = snapshots.newest(self._machine)
        return VerificationReport(passed, started, seconds, checks, self._devices, warnings, self._ending, *ages)

    def _nodes(self) -> bool:
        """Wait until every node is as expected; whether they are."""
        here, boot_id = self._machine.node_name(), self._machine.boot_id()
        seen: dict[str, Mapping[str, Any]] = {}

        def are_right() -> bool:
            seen.clear()
            seen.update({node["metadata"]["name"]: node for node in self._looking.get("nodes")})
            self._pull_image(seen)
            self._checks = [
                check
                for node in self._expected.nodes
                for check in node_checks(
                    node,
                    seen.get(node.name),
                    boot_id if node.name == here else None,
                    self._expected.operator_namespace,
                )
            ]
            names = [node.name for node in self._expected.nodes]
            self._checks += version_checks(self._looking, self._expected.rke2_version, names, seen)
            if any(node.devices for node in self._expected.nodes):
                away = [name for name, node in seen.items() if name not in names and not is_ready(node)]
                self._checks.append(operator_check(self._looking, self._expected.operator_namespace, away))
            failed = [check for check in self._checks if not check.passed]
            words = "; ".join(f"{check.node or 'the cluster'}: {check.name} is {check.seen}" for check in failed)
            self._progress.tell(words or "all nodes show what is expected")
            return not failed

        if self._polling.until(are_right, self._deadline):
            names = [node.name for node in self._expected.nodes]
            self._ending = tuple(certificates.ending(self._machine, {name: seen[name] for name in names}))
            return True
        diagnosis = Diagnosis(self._machine, self._kubectl, self._expected.operator_namespace)
        expected = {node.name: node for node in self._expected.nodes}
        self._checks = [
            replace(check, remedy=diagnosis.remedy(expected[check.node], seen[check.node]))
            if check.name == ALLOCATABLE and not check.passed
            else check
            for check in self._checks
        ]
        return False

    def _pull_image(self, seen: Mapping[str, Mapping[str, Any]]) -> None:
        """Have each node pull the pods' image as soon as it is Ready: on a dead one a pod would never end."""
        nodes = {pod.node for pod in self._pods}
        ready = sorted(name for name in nodes - self._pulling if name in seen and is_ready(seen[name]))
        if not ready:
            return
        if not self._pulling:
            self._is_begun = True
            self._namespace.make()
        self._namespace.create(ImagePull(name) for name in ready)
        self._pulling.update(ready)

    def _prove_devices(self) -> None:
        """Every device by a pod or by who has it; then what can be said of all of them together."""
        namespace, pods = self._namespace, self._pods
        in_use = InUse(self._smi, self._looking, self._expected.operator_namespace, namespace.name)
        is_open = self._expected.device_list_from_environment
        isolation = Isolation(namespace, self._polling, self._expected.nodes, is_open=is_open)
        proof = ProofByPods(namespace, self._polling, in_use).prove(pods, self._deadline)
        self._devices, self._warned = proof.devices, proof.warnings
        self._checks += proof.checks
        if proof.complete or devices.overfull(proof.devices, pods):
            self._checks.append(devices.distinct(pods, proof.devices))
        if proof.complete:
            self._checks += self._of_their_machines(in_use.listed)
            self._checks += isolation.checks(self._deadline)
            self._checks += Surplus(namespace, self._polling, in_use).checks(pods)

    def _of_their_machines(self, listed: Mapping[str, Listed]) -> list[Check]:
        """This machine is always asked for its list, others were where their devices are in use."""
        here, checks = self._machine.node_name(), []
        for node in dict.fromkeys(device.node for device in self._devices):
            try:
                its = listed_devices(self._smi.say("-L")) if node == here else listed.get(node)
            except GpuError as error:
                checks.append(devices.unlisted(node, str(error)))
                continue
            if its is not None:
                seen = [device for device in self._devices if device.node == node]
                checks.append(devices.of_their_machine(node, seen, its))
        return checks

    def _clean_up(self) -> None:
        """Delete what was made, once. That it cannot be deleted is a failed check."""
        with ignored():
            if not self._is_begun:
                return
            self._is_begun = False
            try:
                self._namespace.end()
            except NodeError as error:
                remedy = f"`kubectl delete namespace {self._namespace.name}` by hand: its pods hold devices."
                self._checks.append(Check.of("clean up", "", "the pods are deleted", str(error), remedy))
                self._progress.note(f"{error}: {remedy}")
