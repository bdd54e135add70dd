"""SIGTERM while all kinds of connections are open: the hub goes at once and leaves nothing."""

import asyncio
import contextlib
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from simulator.hub.mqtt.codec import encode
from simulator.hub.mqtt.packets import Connect
from simulator.hub.options import DEVELOPMENT_KEY
from tests.simulator.hub.builders import token
from tests.simulator.hub.test_command import PROGRAM


class Visitor:
    """Opens one connection of each kind and waits on all of them."""

    def __init__(self, folder: Path, https_port: int, mqtt_port: int):
        self._trust = ssl.create_default_context(cafile=folder / "ca.pem")
        self._base = f"https://localhost:{https_port}"
        self._mqtt_port = mqtt_port
        self._writers: list[asyncio.StreamWriter] = []

    async def visit(self, stop: asyncio.Future[None]) -> float:
        """Seconds from the signal to the end of every connection."""
        connector = aiohttp.TCPConnector(ssl=self._trust)
        async with aiohttp.ClientSession(connector=connector) as session:
            for device_id in ("one", "two", "held"):
                await self._register(session, device_id)
            hole = {"faults": [{"action": "blackHole", "devices": "held"}]}
            async with session.put(f"{self._base}/_local/faults", json=hole) as answer:
                assert answer.status == 200
            readers = [await self._mqtt("one"), await self._mqtt("held")]
            socket = await session.ws_connect(
                f"{self._base}/$iothub/websocket", protocols=("mqtt",)
            )
            await socket.send_bytes(self._connect("two"))
            await socket.receive()
            poll = asyncio.create_task(self._poll(session))
            await asyncio.sleep(0.1)
            stop.set_result(None)
            started = time.monotonic()
            await asyncio.gather(self._end(readers), socket.receive(), poll)
            await socket.close()
            return time.monotonic() - started

    async def _register(self, session: aiohttp.ClientSession, device_id: str) -> None:
        expiry = time.time() + 60
        service = token("localhost", DEVELOPMENT_KEY, policy="iothubowner", expiry=expiry)
        async with session.put(
            f"{self._base}/devices/{device_id}",
            json={"deviceId": device_id},
            headers={"Authorization": service},
        ) as answer:
            assert answer.status == 200

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        address = f"{self._base}/_local/events?cursor=latest&waitSeconds=60"
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(address) as answer:
                await answer.read()

    async def _mqtt(self, device_id: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(
            "localhost", self._mqtt_port, ssl=self._trust
        )
        writer.write(self._connect(device_id))
        self._writers.append(writer)
        if device_id != "held":
            await reader.readexactly(4)
        return reader

    async def _end(self, readers: list[asyncio.StreamReader]) -> None:
        for reader in readers:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while await reader.read(100):
                    pass
        for writer in self._writers:
            writer.transport.abort()

    def _connect(self, device_id: str) -> bytes:
        password = token(
            f"localhost/devices/{device_id}",
            DEVELOPMENT_KEY,
            policy="iothubowner",
            expiry=time.time() + 60,
        )
        return encode(
            Connect(
                client_id=device_id,
                user_name=f"localhost/{device_id}/?api-version=2021-04-12",
                password=password.encode(),
            )
        )


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_every_connection_ends_and_nothing_is_left(
    certificates: Path, ending: signal.Signals
) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(certificates)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = ""
        while not ready.startswith("hub ready"):
            ready = process.stdout.readline()
            assert ready
        https_port, mqtt_port = map(int, re.findall(r":(\d+)", ready))

        async def visit() -> float:
            stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            stop.add_done_callback(lambda _stop: process.send_signal(ending))
            async with asyncio.timeout(20):
                return await Visitor(certificates, https_port, mqtt_port).visit(stop)

        seconds = asyncio.run(visit())
        _rest, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert seconds < 4
