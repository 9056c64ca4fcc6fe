"""A browser without a window, spoken to through a pair of pipes in Chrome's own protocol."""

import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_SECONDS = 60


def program() -> str | None:
    """A browser of this family on the PATH."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of a browser that runs."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading, self._rest = writing, reading, b""
        self._number, self._session = 0, ""
        self.asked: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Network.enable")

    def show(self, page: Path, *, width: int, height: int, scheme: str) -> None:
        """Load the file in a window of this size, `light` or `dark`; `asked` then has what was loaded for it."""
        self.asked.clear()
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Page.navigate", url=page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:  # noqa: ANN401 - any value of JSON
        """What this JavaScript is worth in the page."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        """The next message: an answer, or an event."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._reading], [], [], _SECONDS)
            more = os.read(self._reading, 1 << 20) if ready else b""
            assert more, "the browser has ended, or says nothing"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(message["params"]["request"]["url"])
        return message


@contextmanager
def browser(path: str, profile: Path) -> Iterator[Browser]:
    """A browser with nothing of this person's; `profile`: an empty folder."""
    (its_input, writing), (reading, its_output) = os.pipe(), os.pipe()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    # The protocol is spoken on the descriptors 3 and 4.
    shell = ["bash", "-c", f'exec "$0" "$@" 3<&{its_input} 4>&{its_output}', path, "--remote-debugging-pipe", *flags]
    with subprocess.Popen(
        shell, pass_fds=(its_input, its_output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(its_input)
        os.close(its_output)
        try:
            yield Browser(writing, reading)
        finally:
            os.close(writing)  # which ends the browser
            os.close(reading)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
