"""MQTT over WebSocket (MQTT 3.1.1, section 6): the same Connection on another transport.

The bytes of the stream are sent in binary frames of any length. The path and the subprotocol are
those that the device SDKs of Python and Node request.
"""

import asyncio
from typing import Any

from aiohttp import WSMsgType, web

from simulator.hub.mqtt.connection import Connection
from simulator.hub.mqtt.decoding import MAX_PACKET_BYTES

WEBSOCKET_PATH = "/$iothub/websocket"
SUBPROTOCOL = "mqtt"
MAX_FRAME_BYTES = MAX_PACKET_BYTES + 16
_CLOSE_SECONDS = 1
_FINAL_BINARY = 0x82
_SHORT, _MIDDLE = 126, 1 << 16


async def serve_websocket(request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
    """Run a device's connection until either side ends it."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    if SUBPROTOCOL not in map(str.strip, offered):
        # [MQTT-6.0.0-3], [MQTT-6.0.0-4]: the subprotocol must be offered and accepted.
        return web.Response(status=400, text="the WebSocket subprotocol must be mqtt")
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        max_msg_size=MAX_FRAME_BYTES,
        compress=False,
        timeout=_CLOSE_SECONDS,
    )
    await socket.prepare(request)
    if request.transport is None:
        return socket
    transport = WebSocketTransport(request.transport, socket)
    connection.connection_made(transport)
    try:
        await _read(socket, transport, connection)
    finally:
        connection.connection_lost(None)
    return socket


async def _read(
    socket: web.WebSocketResponse, transport: "WebSocketTransport", connection: Connection
) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            # [MQTT-6.0.0-1]: anything but a binary frame ends the connection.
            transport.abort()
            return
        connection.data_received(message.data)
        await transport.readable.wait()


class WebSocketTransport(asyncio.Transport):
    """Writes a Connection's bytes in frames to the TLS transport.

    A frame is written in one call, so that frames of aiohttp (pong, close) cannot mix with it. The
    Connection aborts a device that does not read.
    """

    def __init__(self, below: asyncio.Transport, socket: web.WebSocketResponse) -> None:
        super().__init__()
        self._below = below
        self._socket = socket
        self._closing_task: asyncio.Task[bool] | None = None
        self.readable = asyncio.Event()
        self.readable.set()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if data:
            self._below.write(_header(len(data)) + bytes(data))

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._below.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self.readable.clear()

    def resume_reading(self) -> None:
        self.readable.set()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def close(self) -> None:
        """Close with a close frame and wait shortly for the peer's (RFC 6455, section 7.1.2)."""
        self.readable.set()
        if self._closing_task is None:
            self._closing_task = asyncio.get_running_loop().create_task(self._socket.close())

    def abort(self) -> None:
        self.readable.set()
        self._below.abort()


def _header(length: int) -> bytes:
    """Return the header of an unmasked, final binary frame (RFC 6455, section 5.2)."""
    if length < _SHORT:
        return bytes((_FINAL_BINARY, length))
    if length < _MIDDLE:
        return bytes((_FINAL_BINARY, 126)) + length.to_bytes(2)
    return bytes((_FINAL_BINARY, 127)) + length.to_bytes(8)
