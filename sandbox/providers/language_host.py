"""Stand-in for pulumi-language-python: the part of it that previews, updates and policy packs use.

Only a CLI built from its Go module needs it; a released one brings the real host and prefers it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from sandbox.providers import interpreter, plugin
from sandbox.providers.program import SHOWN


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Each run of the program has a process of its own: the SDK and the program keep state in their modules."""

    def __init__(self, display: plugin.Display) -> None:
        self._display = display

    def Handshake(self, _request: object, _context: object) -> pb.LanguageHandshakeResponse:
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: object, _context: object) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version="3.259.0")

    def GetRequiredPackages(self, _request: object, _context: object) -> pb.GetRequiredPackagesResponse:
        return pb.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, _request: object, _context: object) -> pb.GetRequiredPluginsResponse:
        return pb.GetRequiredPluginsResponse()

    def InstallDependencies(self, _request: object, _context: object) -> Iterator[pb.InstallDependenciesResponse]:
        return iter(())

    def RuntimeOptionsPrompts(self, _request: object, _context: object) -> pb.RuntimeOptionsResponse:
        return pb.RuntimeOptionsResponse()

    def GetProgramDependencies(self, _request: object, _context: object) -> pb.GetProgramDependenciesResponse:
        return pb.GetProgramDependenciesResponse()

    def About(self, request: pb.AboutRequest, _context: object) -> pb.AboutResponse:
        return pb.AboutResponse(executable=str(_python(request.info)), version=sys.version.split()[0])

    def Cancel(self, _request: object, _context: object) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Run(self, request: pb.RunRequest, _context: object) -> pb.RunResponse:
        python = _python(request.info)
        if not python.exists():
            return pb.RunResponse(error=f"the virtualenv that Pulumi.yaml names has no {python}: `make setup` makes it")
        folder = Path(request.info.program_directory)
        order = {
            "settings": {
                "project": request.project,
                "stack": request.stack,
                "organization": request.organization,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "monitor": request.monitor_address,
                "engine": plugin.engine_address(),
                "root_directory": request.info.root_directory,
            },
            "directory": str(folder),
            "program": str(folder / (request.info.entry_point or ".")),
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # ours, not its
        environment["PULUMI_CONFIG"] = _go_json(dict(request.config))
        environment["PULUMI_CONFIG_SECRET_KEYS"] = _go_json(list(request.configSecretKeys))
        try:
            code = interpreter.run(python, order, environment, lambda line: self._display.info(line.rstrip("\n")))
        except OSError as error:  # above all a configuration of more than 128 KiB, which Linux allows no variable
            why = f"fork/exec {python}: {(error.strerror or str(error)).lower()}"
            return pb.RunResponse(error=f"problem executing program (could not run language executor): {why}")
        if code == SHOWN:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error=f"program exited with non-zero exit code: {code}" if code else "")

    def RunPlugin(self, request: pb.RunPluginRequest, context: grpc.ServicerContext) -> Iterator[pb.RunPluginResponse]:
        """A policy pack: `python -m pulumi.policy ENGINE DIRECTORY`."""
        if request.kind != "analyzer":
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the sandbox's language host runs no {request.kind} plugins")
        child = subprocess.Popen(
            [_python(request.info), "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory],
            cwd=request.pwd,
            env={**os.environ, **dict(pair.split("=", 1) for pair in request.env)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        context.add_callback(child.terminate)
        for line in child.stdout or ():
            yield pb.RunPluginResponse(stdout=line)
        yield pb.RunPluginResponse(exitcode=child.wait())


def _go_json(value: object) -> str:
    """JSON as the real host writes it: without spaces, and with escapes for HTML, which count for the length."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _python(info: pb.ProgramInfo) -> Path:
    """The interpreter of the project's virtualenv, or ours if it names none."""
    named = MessageToDict(info.options).get("virtualenv")
    return Path(info.root_directory) / named / "bin" / "python" if named else Path(sys.executable)


if __name__ == "__main__":
    plugin.serve(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, LanguageHost(plugin.Display()))
