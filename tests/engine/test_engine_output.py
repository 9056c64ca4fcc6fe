"""What is left of the engine's output when nobody watches it on a terminal. The lines are those of CLI 3.259.0."""

import pytest

from sandbox.engine.environment import Environment
from sandbox.engine.output import readable

pytestmark = pytest.mark.engine


def test_components_are_left_out() -> None:
    lines = [
        " +  mig-k8s:index:Machine mlops-k8s-master creating (0s) \n",
        " +  pulumi:pulumi:Stack mig-k8s-sandbox created (41s) \n",
        " +  azure-native:resources:ResourceGroup mig-k8s-sandbox creating (0s) \n",
    ]
    assert list(readable(lines)) == [" +  azure-native:resources:ResourceGroup mig-k8s-sandbox creating (0s)"]


def test_what_a_resource_says_is_shown_once_and_its_end_as_well() -> None:
    head = " +  command:remote:Command mlops-k8s-master-ready"
    lines = [
        f"{head} creating (0s) \n",
        f"{head} creating (12s) rke2           done: RKE2 v1.35.7+rke2r1 server is ready  8 s\n",
        f"{head} created (12s) rke2           done: RKE2 v1.35.7+rke2r1 server is ready  8 s\n",
    ]
    assert list(readable(lines)) == [
        f"{head} creating (0s)",
        "      mlops-k8s-master-ready: rke2           done: RKE2 v1.35.7+rke2r1 server is ready  8 s",
        f"{head} created (12s)",
    ]


def test_of_dials_that_fail_in_a_row_only_the_first_is_shown() -> None:
    head = " +  command:remote:Command mlops-k8s-master-resume creating"
    said = [
        "Dial 1/150 failed: retrying",
        "Dial 2/150 failed: retrying",
        "apt            unchanged",
        "Dial 1/150 failed: retrying",
    ]
    lines = [f"{head} ({second}s) {text}\n" for second, text in enumerate(said)]
    assert list(readable(lines)) == [
        "      mlops-k8s-master-resume: Dial 1/150 failed: retrying",
        "      mlops-k8s-master-resume: apt            unchanged",
        "      mlops-k8s-master-resume: Dial 1/150 failed: retrying",
    ]


def test_of_a_replacement_only_what_happens_is_shown() -> None:
    command = "command:remote:Command verification-run"
    lines = [
        f" ++ {command} creating replacement (0s)[retain] [diff: ~triggers]\n",
        f" ++ {command} creating replacement (1s)[retain] [diff: ~triggers]; ·  3 pods, one per device\n",
        f" ++ {command} created replacement (14s)[retain] [diff: ~triggers]; ·  3 pods, one per device\n",
        f" +- {command} replaced (0.00s) \n",
        f" -- {command} deleting original (0s)[retain] [diff: ~triggers]; ·  3 pods, one per device\n",
        f" -- {command} deleted original (0.02s)[retain] [diff: ~triggers]; ·  3 pods, one per device\n",
        " -- azure-native:compute:VirtualMachine mlops-k8s-master-vm deleting original (0s) \n",
    ]
    assert list(readable(lines)) == [
        f" ++ {command} creating replacement (0s)",
        "      verification-run: ·  3 pods, one per device",
        f" ++ {command} created replacement (14s)",
        " -- azure-native:compute:VirtualMachine mlops-k8s-master-vm deleting original (0s)",
    ]


def test_progress_longer_than_a_line_goes_on_below_it_and_an_error_passes_as_it_is() -> None:
    error = "    error: " + "a reason " * 20 + "at last\n"
    command = "command:remote:Command verification-run"
    said = f" +  {command} creating (5s) waiting for mig-mixed-3g-40gb-0, {'x' * 30}, {'y' * 30} and others\n"
    assert list(readable([said, error])) == [
        f"      verification-run: waiting for mig-mixed-3g-40gb-0, {'x' * 30},",
        f"            {'y' * 30} and others",
        error.rstrip("\n"),
    ]


def test_a_word_longer_than_a_line_stays_whole() -> None:
    said = " +  command:remote:Command verification-run creating (5s) " + "x" * 120 + "\n"
    assert "".join(readable([said])).count("x" * 120) == 1


def test_a_line_is_as_wide_as_the_terminal() -> None:
    head = " +  command:remote:Command mlops-k8s-master-converge creating (5s) driver         "
    said = (
        "failed: apt knows no nvidia-utils-580-server for kernel 6.18.44. Is 580 a server branch of this Ubuntu?  0 s\n"
    )
    assert list(readable([head + said], 80)) == [
        "      mlops-k8s-master-converge: driver         failed: apt knows no",
        "            nvidia-utils-580-server for kernel 6.18.44. Is 580 a server branch",
        "            of this Ubuntu?  0 s",
    ]


def test_of_what_failed_the_reason_is_said_once_before_the_diagnostics() -> None:
    command = "command:remote:Command mlops-k8s-master-converge"
    error = 'error: Process exited with status 1: running "sudo mig-k8s update":'
    lines = [
        f" +  {command} creating (4s) {error}\n",
        f" +  {command} **creating failed** {error}\n",
        f" ~  {command} **updating failed** {error}\n",
    ]
    assert list(readable(lines)) == [
        f"      mlops-k8s-master-converge: {error}",
        f" +  {command} creating failed",
        f" ~  {command} updating failed",
    ]


@pytest.mark.parametrize(
    ("columns", "shown"), [("99", " +  a:b:C name creating (0s)\n      name: at work\n"), ("100", "")]
)
def test_a_narrow_terminal_gets_the_log_and_a_wide_one_the_engines_own_display(
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: str,
    shown: str,
) -> None:
    """In a narrow one that would cut off what a resource says. Of the display nothing passes through this process."""
    script = "echo ' +  a:b:C name creating (0s) '; echo ' +  a:b:C name creating (1s) at work'"
    monkeypatch.setattr(Environment, "_command", lambda *_: ["sh", "-c", script])
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert environment.pulumi("up") == 0
    assert capsys.readouterr().out == shown


def test_a_preview_passes_as_it_is() -> None:
    line = " +  azure-native:compute:VirtualMachine mlops-k8s-master-vm create "
    assert list(readable([line + "\n"])) == [line]
