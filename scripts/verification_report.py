"""The report of a verification (docs/outputs.md): as people read it, and as JUnit XML for what collects tests."""

import re
from xml.etree import ElementTree as ET

from machine.documents.verification_report import VerificationReport
from plan.report import colours

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write, such as the colours in a log."""


_DEVICES = re.compile(r"\d+ × (?:\d+c\.)?(\d+)g\.[\w.+-]+")


def summary(report: VerificationReport, *, colour: bool = False) -> str:
    """The verdict, every failed check with the way out, and how devices were proven where all is well."""

    def painted(text: str, codes: str) -> str:
        return colours.painted(text, codes) if colour else text

    checks = report.checks
    failed = [check for check in checks if not check.passed]
    verdict = painted("passed", colours.GOOD) if report.passed else painted("FAILED", colours.BAD)
    lines = [f"verification: {verdict}, {len(checks) - len(failed)} of {len(checks)} checks in {report.seconds:.0f} s"]
    for check in failed:
        lines.append(f"  {painted('FAILED', colours.BAD)} {check.node or 'cluster'}: {check.name}")
        lines.append(f"    expected  {check.expected}\n    seen      {check.seen}\n    do        {check.remedy}")
    lines += [f"  {line}" for line in report.notes()]
    lines += [f"  {_painted(line) if colour else line}" for line in report.proofs()]
    return "\n".join(lines)


def _painted(proof: str) -> str:
    """The text with each kind of device in the colour that it has in `plan show`."""
    return _DEVICES.sub(lambda found: colours.on(int(found[1]), f" {found[0]} "), proof).replace(
        f"{colours.PLAIN}, ", f"{colours.PLAIN} "
    )


def junit(report: VerificationReport) -> bytes:
    """One test case per check, in the form that Jenkins, GitLab, GitHub's and Azure's collectors share (junit-10.xsd).

    Checks have no times of their own; that of the suite is the whole run's. `timestamp` is UTC, as JUnit writes it.
    """
    checks = report.checks
    failures = sum(not check.passed for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(failures), "errors": "0"}
    whole = {**counts, "time": f"{report.seconds:.1f}"}
    root = ET.Element("testsuites", {"name": "mig-k8s", **whole})
    about = {"name": "verification", "timestamp": report.started.removesuffix("Z"), "skipped": "0"}
    suite = ET.SubElement(root, "testsuite", {**about, **whole})
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=check.node or "cluster", name=_xml(check.name))
        if not check.passed:
            words = f"expected: {check.expected}\nseen: {check.seen}\ndo: {check.remedy}"
            message = _xml(f"expected {check.expected}, seen {check.seen}")
            ET.SubElement(case, "failure", type="verification", message=message).text = _xml(words)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
