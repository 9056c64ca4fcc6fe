"""What `make verify` prints and writes of a report."""

import dataclasses
import json
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from machine.documents.verification_report import Check, ProvenDevice, VerificationReport
from scripts.verification_report import junit, summary

WIPED = Check.of(
    "allocatable", "mlops-k8s-master", "nvidia.com/gpu: 7", "no GPU resource", "MIG Manager removed the instances."
)


def report(*checks: Check, devices: Sequence[ProvenDevice] = ()) -> VerificationReport:
    """A report of these checks after one that passed."""
    every = (Check.of("ready", "mlops-k8s-master", "ready", "ready"), *checks)
    passed = all(check.passed for check in every)
    return VerificationReport(passed, "2026-11-23T20:15:42Z", 12.34, every, tuple(devices))


def device(node: str, profile: str | None, number: int = 0, proof: str = "proven by a pod") -> ProvenDevice:
    return ProvenDevice(node, "mig", profile, f"MIG-{number}", "GPU-0", "nvidia.com/gpu", proof)


def test_a_passed_report_tells_of_each_node_how_its_devices_were_proven() -> None:
    devices = [device("serve-0", "2g.20gb", number) for number in (1, 2, 2)]
    devices += [device("serve-0", "1g.10gb", 3), device("train", None)]
    devices.append(device("serve-0", "2g.20gb", 4, "in use by work/notebook"))
    assert summary(report(devices=devices)) == (
        "verification: passed, 1 of 1 checks in 12 s\n"
        "  serve-0: 2 × 2g.20gb, 1 × 1g.10gb: proven by a pod\n"
        "  train: 1 × whole GPU: proven by a pod\n"
        "  serve-0: 1 × 2g.20gb: in use by work/notebook"
    )


def test_a_report_of_an_older_release_had_every_device_proven_by_a_pod() -> None:
    old = {"node": "train", "pod": "mig", "profile": "2g.20gb", "uuid": "MIG-0", "gpu": "GPU-0"}
    text = json.dumps({**json.loads(report().to_json()), "devices": [old]})
    assert summary(VerificationReport.from_json(text)).endswith("\n  train: 1 × 2g.20gb: proven by a pod")


def test_what_nvidia_smi_warned_of_is_told_whatever_the_verdict() -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0001:00:00.0"
    for each in (report(), report(WIPED)):
        assert f"\n  nvidia-smi warns: {warning}" in summary(dataclasses.replace(each, warnings=(warning,)))


def test_a_certificate_that_soon_ends_is_told_whatever_the_verdict() -> None:
    sentence = "the certificate of the kubelet on gpu has ended."
    for each in (report(), report(WIPED)):
        assert f"\n  WARNING: {sentence}" in summary(dataclasses.replace(each, ending=(sentence,)))


def test_the_age_of_the_newest_snapshot_is_told_and_one_that_is_overdue_once() -> None:
    aged = dataclasses.replace(report(), snapshot="it is 3 h old")
    assert summary(aged).endswith("\n  it is 3 h old")
    overdue = dataclasses.replace(report(WIPED), snapshot="it is 14 h old", overdue="it is 14 h old, though")
    assert "\n  WARNING: it is 14 h old, though" in summary(overdue)
    assert summary(overdue).count("14 h") == 1


def test_a_failed_report_tells_every_failed_check_with_the_way_out_and_praises_nothing() -> None:
    distinct = Check.of("devices are distinct", "", "7 different devices", "6 different devices", "Is sharing on?")
    assert summary(report(WIPED, distinct, devices=[device("mlops-k8s-master", "1g.10gb")])) == (
        "verification: FAILED, 1 of 3 checks in 12 s\n"
        "  FAILED mlops-k8s-master: allocatable\n"
        "    expected  nvidia.com/gpu: 7\n"
        "    seen      no GPU resource\n"
        "    do        MIG Manager removed the instances.\n"
        "  FAILED cluster: devices are distinct\n"
        "    expected  7 different devices\n"
        "    seen      6 different devices\n"
        "    do        Is sharing on?"
    )


def test_in_a_terminal_verdict_and_devices_have_colours_and_a_device_that_of_its_slices() -> None:
    """The same as in `plan show`: three slices on 45, one on 44."""
    devices = [device("train", "3g.40gb", 1), device("train", "1g.12gb+me.all", 2), device("train", "1c.2g.20gb", 3)]
    assert summary(report(devices=devices), colour=True) == (
        "verification: \033[1;32mpassed\033[0m, 1 of 1 checks in 12 s\n"
        "  train: \033[30;45m 1 × 3g.40gb \033[0m \033[30;44m 1 × 1g.12gb+me.all \033[0m"
        " \033[30;42m 1 × 1c.2g.20gb \033[0m: proven by a pod"
    )
    assert summary(report(WIPED), colour=True).startswith(
        "verification: \033[1;31mFAILED\033[0m, 1 of 2 checks in 12 s\n  \033[1;31mFAILED\033[0m mlops-k8s-master: "
    )


def test_junit_has_a_case_for_each_check_with_the_node_as_its_class() -> None:
    assert junit(report(WIPED)).decode() == (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        '<testsuites name="mig-k8s" tests="2" failures="1" errors="0" time="12.3">\n'
        '  <testsuite name="verification" timestamp="2026-11-23T20:15:42" skipped="0"'
        ' tests="2" failures="1" errors="0" time="12.3">\n'
        '    <testcase classname="mlops-k8s-master" name="ready" />\n'
        '    <testcase classname="mlops-k8s-master" name="allocatable">\n'
        '      <failure type="verification" message="expected nvidia.com/gpu: 7, seen no GPU resource">'
        "expected: nvidia.com/gpu: 7\n"
        "seen: no GPU resource\n"
        "do: MIG Manager removed the instances.</failure>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n"
    )


def test_junit_stays_xml_whatever_a_log_held() -> None:
    coloured = dataclasses.replace(WIPED, seen="\x1b[31m<no> & 'none'\x00", node="")
    (case,) = ET.fromstring(junit(report(coloured))).findall("./testsuite/testcase[failure]")  # noqa: S314 - our own
    assert case.get("classname") == "cluster"
    assert "seen: �[31m<no> & 'none'�" in case.findtext("failure", "")
