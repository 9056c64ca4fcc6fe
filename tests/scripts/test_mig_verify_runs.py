"""How mig-verify ends, begins again, and shares the machine with itself."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kubernetes_on_machine import Cluster
from mig_verify_on_machine import expectations, failed, log, react, shows, tutorial_cluster, verify


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return tutorial_cluster(tmp_path)


def test_labels_and_allocatable_that_come_late_are_waited_for(cluster: Cluster) -> None:
    shows(cluster, allocatable={}, labels={})
    process = started(cluster)
    assert process.stderr is not None
    for line in process.stderr:
        if "allocatable is no GPU resource" in line:
            break
    shows(cluster)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["passed"] is True


def started(cluster: Cluster, *arguments: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [str(cluster.machine.root / "usr/local/sbin/mig-verify"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cluster.machine.environment,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(expectations())
    process.stdin.close()
    process.stdin = None
    return process


def test_ended_by_a_signal_it_deletes_what_it_made(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    react(cluster, "2g.20gb", status={"phase": "Pending"})
    process = started(cluster)
    wait_until(lambda: cluster.machine.calls("kubectl logs"), "the first log to be read")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ended by SIGTERM before it was done; what it made is deleted" in said
    assert cluster.objects()["namespaces"] == []


def test_a_second_signal_does_not_end_the_clean_up(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    react(cluster, "2g.20gb", status={"phase": "Pending"})
    kubectl = cluster.machine.root / "var/lib/rancher/rke2/bin/kubectl"
    slow = "    import time; time.sleep(1)\n    if objects.get("
    kubectl.write_text(kubectl.read_text(encoding="utf-8").replace("    if objects.get(", slow), encoding="utf-8")
    process = started(cluster)
    wait_until(lambda: cluster.machine.calls("kubectl logs"), "the first log to be read")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(cluster.machine.calls("kubectl delete namespace")) == 2, "the clean-up")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert "ended by SIGHUP before it was done; what it made is deleted" in said
    assert cluster.objects()["namespaces"] == []


def test_a_session_that_is_cut_ends_it_at_the_next_heartbeat_and_nothing_is_left(cluster: Cluster) -> None:
    program = cluster.machine.root / "usr/local/sbin/mig-verify"
    text = program.read_text(encoding="utf-8")
    program.write_text(text.replace("HEARTBEAT_SECONDS = 15", "HEARTBEAT_SECONDS = 1"), encoding="utf-8")
    react(cluster, "2g.20gb", status={"phase": "Pending"})
    process = started(cluster)
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stderr:
        if "waiting for mig-mixed-2g-20gb-0" in line:
            break
    assert cluster.objects()["namespaces"] != []

    process.stderr.close()
    process.stdout.close()

    assert process.wait(timeout=30) != 0
    assert cluster.objects()["namespaces"] == []


def test_it_runs_again_with_the_expectations_of_the_last_time(cluster: Cluster) -> None:
    verify(cluster)
    assert cluster.machine.mode("etc/mig-k8s/expectations.json") == "0o600"
    assert json.loads(cluster.machine.read("etc/mig-k8s/expectations.json")) == json.loads(expectations())
    again = cluster.machine.call("mig-verify", "--again")
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["devices"]) == 3
    shows(cluster, labels={"nvidia.com/mig.strategy": "single"})
    verify(cluster, seconds=0)
    broken = cluster.machine.call("mig-verify", "--again")
    assert broken.returncode == 1
    assert "expected: nvidia.com/mig.strategy=mixed" in broken.stderr


def test_at_a_terminal_it_runs_again_without_waiting_for_input(cluster: Cluster) -> None:
    verify(cluster)
    terminal, end = os.openpty()
    program = str(cluster.machine.root / "usr/local/sbin/mig-verify")
    run = subprocess.run(
        [program], stdin=end, capture_output=True, env=cluster.machine.environment, timeout=60, check=False
    )
    os.close(terminal)
    os.close(end)
    assert run.returncode == 0, run.stderr.decode()


def test_without_a_last_time_it_says_where_expectations_come_from(cluster: Cluster) -> None:
    ended = cluster.machine.call("mig-verify", "--again")
    assert ended.returncode == 2
    assert ended.stderr == (
        f"mig-verify: {cluster.machine.root}/etc/mig-k8s/expectations.json: No such file or directory. "
        "`pulumi up` leaves it on the first server when it verifies; it takes sudo\n"
    )


def test_expectations_that_are_cut_short_are_not_remembered(cluster: Cluster) -> None:
    verify(cluster)
    before = cluster.machine.read("etc/mig-k8s/expectations.json")
    assert cluster.machine.call("mig-verify", stdin=expectations(namespace="another")[:-40]).returncode == 2
    assert cluster.machine.read("etc/mig-k8s/expectations.json") == before


def test_an_unknown_option_is_refused(cluster: Cluster) -> None:
    ended = cluster.machine.call("mig-verify", "--agian", stdin=expectations())
    assert (ended.returncode, ended.stderr) == (2, "mig-verify: --agian: the only option is --again\n")


def test_a_second_run_waits_for_the_first(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    verify(cluster)
    react(cluster, "2g.20gb", status={"phase": "Pending"})
    first = started(cluster)
    wait_until(lambda: cluster.objects()["namespaces"], "the namespace of the first run")
    react(cluster, "2g.20gb", log=log("2g.20gb"))
    second = started(cluster, "--again")
    assert second.stderr is not None
    assert second.stderr.readline() == "·  another mig-verify is at work here: waiting for its end\n"
    assert cluster.objects()["namespaces"] != []
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert json.loads(out)["passed"] is True


def test_a_namespace_that_cannot_be_deleted_is_a_failed_check(cluster: Cluster) -> None:
    kubectl = cluster.machine.root / "var/lib/rancher/rke2/bin/kubectl"
    text = kubectl.read_text(encoding="utf-8").replace(
        '    if objects.get("namespace_stays"):', "    if objects['namespaces']:"
    )
    kubectl.write_text(text, encoding="utf-8")
    code, report, _ = verify(cluster)
    assert code == 1
    assert failed(report)[0]["name"] == "clean up"


@pytest.mark.parametrize(
    ("text", "said"), [("", "are not understood"), ('{"version": 3}', "have version 3, this mig-verify understands 1")]
)
def test_expectations_that_are_none_are_told_without_a_traceback(cluster: Cluster, text: str, said: str) -> None:
    ended = cluster.machine.call("mig-verify", stdin=text)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_api_that_never_answers_ends_with_its_words(cluster: Cluster) -> None:
    (cluster.machine.state / "api-is-down").touch()
    code, _, said = verify(cluster, seconds=0)
    assert code == 1
    assert "The connection to the server 127.0.0.1:6443 was refused" in said
