"""What the sandbox's load balancer does with a connection of which one side is lost."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from sandbox.cloud.load_balancer import Streams, forward

pytestmark = pytest.mark.timeout(20)
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing is a reset and not an end."""


async def _connection() -> tuple[Streams, socket.socket]:
    """One end as streams, the other as a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        streams = await asyncio.open_connection(*listening.getsockname())
        other, _ = listening.accept()
    return streams, other


@contextlib.asynccontextmanager
async def _forwarded() -> AsyncIterator[tuple[socket.socket, socket.socket, "asyncio.Task[None]"]]:
    """A person's and a machine's end of what is forwarded, and the task that does it."""
    client, person = await _connection()
    machine, server = await _connection()
    with person, server:
        yield person, server, asyncio.create_task(forward(client, machine))
    client[1].close()
    machine[1].close()


def test_when_one_side_is_lost_nothing_waits_for_the_other() -> None:
    async def of_a_quiet_client() -> None:
        async with _forwarded() as (person, lost, forwarding):
            person.sendall(b"a word\n")
            assert await asyncio.to_thread(lost.recv, 7) == b"a word\n"
            lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            lost.close()
            await forwarding
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(of_a_quiet_client())


def test_when_one_side_has_said_all_the_other_still_answers() -> None:
    async def of_a_client_that_ends_first() -> None:
        async with _forwarded() as (person, server, forwarding):
            person.sendall(b"a question\n")
            person.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(lambda: server.recv(20) + server.recv(20)) == b"a question\n"
            server.sendall(b"an answer\n")
            server.close()
            await forwarding
            assert await asyncio.to_thread(lambda: person.recv(20) + person.recv(20)) == b"an answer\n"

    asyncio.run(of_a_client_that_ends_first())
