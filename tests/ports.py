"""Free ports on loopback."""

import socket


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return `count` different ports that no process listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
