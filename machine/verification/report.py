"""The report of a verification as people read it on the machine."""

from machine.documents.verification_report import VerificationReport


def words(report: VerificationReport) -> str:
    """Every failed check with what was expected and seen and what to do; how devices were proven; how many passed."""
    failed = [check for check in report.checks if not check.passed]
    lines = []
    for check in failed:
        lines.append(f"FAILED {check.name}{' on ' if check.node else ''}{check.node}")
        lines.append(f"  expected: {check.expected}\n  seen:     {check.seen}\n  do:       {check.remedy}")
    lines += report.notes()
    lines += report.proofs()
    count = len(report.checks)
    lines.append(f"{count - len(failed)} of {count} checks passed in {report.seconds:.0f} s")
    return "\n".join(lines)
