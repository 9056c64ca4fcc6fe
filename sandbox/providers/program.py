"""One run of a Pulumi program in an interpreter of its own: the settings come as JSON on standard input, the stack's
configuration in the environment, as from the real host.

Run as a file, by the interpreter of the project's virtualenv; so it imports nothing of the sandbox.
"""

import asyncio
import gc
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

SHOWN = 32
"""Exit status: the program failed and its error has been shown. The real host's own contract with the engine."""


def main() -> NoReturn:
    """Run the program and leave with 0, 1 or SHOWN, when all that it printed is on its way."""
    gc.disable()  # a fifth of these few seconds: the SDK's modules are a million objects that stay
    code = _run(json.load(sys.stdin))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # half a second sooner than an orderly end of the interpreter, with nothing left to save


def _run(order: dict[str, Any]) -> int:
    import pulumi  # noqa: PLC0415 - the host imports this module for SHOWN alone

    settings = order["settings"]
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    os.chdir(order["directory"])
    sys.argv = [order["program"]]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with ThreadPoolExecutor(max_workers=max(settings["parallel"], 1) * 4) as executor:
        loop.set_default_executor(executor)
        try:
            loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _execute(order["program"])))
        except pulumi.RunError as error:
            pulumi.log.error(str(error))
            return 1
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
        except Exception as error:  # noqa: BLE001 - whatever a program may raise
            pulumi.log.error(
                f"Program failed with an unhandled exception:\n{_from_program_on(error, order['program'])}"
            )
            return SHOWN
    return 0


def _execute(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _from_program_on(error: Exception, program: str) -> str:
    """The traceback without the frames that led to the program."""
    main_file = Path(program) if program.endswith(".py") else Path(program) / "__main__.py"
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if Path(frame.filename).resolve() == main_file.resolve()), 0)
    return "".join(traceback.format_exception(error, limit=first - len(frames)))


if __name__ == "__main__":
    main()
