"""Leads connections to an API server that answers: `service_proxy.py SERVERS ADDRESS:PORT …`, a unit of its own.

It stands in for kube-proxy (of whose Services it knows one, `kubernetes`) and for RKE2's load balancer on agents.
SERVERS is a JSON file with host:port of the API servers, best first; it is read anew for every connection.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

_CONNECT_SECONDS = 3


async def _lead(servers: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for server in json.loads(servers.read_text()):
        host, _, port = server.rpartition(":")
        try:
            opening = asyncio.open_connection(host, int(port))
            upstream, downstream = await asyncio.wait_for(opening, _CONNECT_SECONDS)
        except OSError:  # also when the time is over
            continue
        await asyncio.gather(_copy(reader, downstream), _copy(upstream, writer))
        return
    writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one end closes; then the other is closed as well."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve(servers: Path, addresses: list[str]) -> None:
    listening = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        listening.append(await asyncio.start_server(lambda r, w: _lead(servers, r, w), host, int(port)))
    await asyncio.gather(*(server.serve_forever() for server in listening))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2:]))
