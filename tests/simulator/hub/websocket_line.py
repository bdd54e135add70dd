"""A WebSocket client that can cut frames and connections anywhere."""

import os
import ssl

from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.encoding import encode
from simulator.hub.mqtt.packets import Packet
from tests.simulator.hub.test_mqtt_connection import Line, Listening

TEXT, BINARY, CLOSE = 1, 2, 8
HANDSHAKE = (
    b"GET /$iothub/websocket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    # Offered among others, and without the space that most clients put in.
    b"Sec-WebSocket-Protocol: mqttv3.1,mqtt\r\n\r\n"
)


class WebSocketLine:
    """Connects and shakes hands when made."""

    def __init__(self, hub: Listening, address: str) -> None:
        self.line = Line(hub, address, ssl.TLSVersion.TLSv1_3, port=hub.https_port)
        self.line.socket.sendall(HANDSHAKE)
        self._decoder = Decoder()
        self._received = b""
        while b"\r\n\r\n" not in self._received:
            self._received += self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Protocol: mqtt" in head

    def send_frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame, masked as a client must (RFC 6455, section 5.3)."""
        length = len(payload)
        size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.line.socket.sendall(bytes((0x80 | opcode,)) + size + mask + masked)

    def send(self, *packets: Packet) -> None:
        self.send_frame(BINARY, b"".join(map(encode, packets)))

    def receive_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame, if short. Raises EOFError at the end."""
        while len(self._received) < 2 or len(self._received) < 2 + self._received[1]:
            self._received += self._more()
        end = 2 + self._received[1]
        frame, self._received = self._received[:end], self._received[end:]
        return frame[0] & 0x0F, frame[2:]

    def receive(self, count: int) -> list[Packet]:
        packets: list[Packet] = []
        while len(packets) < count:
            opcode, payload = self.receive_frame()
            assert opcode == BINARY
            packets += self._decoder.feed(payload)
        return packets

    def _more(self) -> bytes:
        data = self.line.socket.recv(65536)
        if not data:
            raise EOFError
        return data
