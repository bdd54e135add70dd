"""A free loopback address.

The device SDK always connects to port 8883, whatever its connection string says, so two hubs on
one machine need two addresses. Linux accepts all of 127.0.0.0/8; macOS accepts only 127.0.0.1.
"""

import random
import socket

_ATTEMPTS = 100


def free_address(port: int = 8883) -> str:
    """Return a loopback address on which `port` is free, checked by binding to it.

    Raises OSError if none is found.
    """
    for _ in range(_ATTEMPTS):
        address = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
        if is_free(address, port):
            return address
    if is_free("127.0.0.1", port):
        return "127.0.0.1"
    raise OSError(f"no loopback address is free at port {port}")


def is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
