"""Take what the calls of this process have used of the hub's messages, to store it."""

from collections.abc import Iterator
from contextlib import contextmanager

from functions.hub_gateway.port import HubGateway
from functions.rollouts.model.usage import Usage


@contextmanager
def take_usage(hub: HubGateway) -> Iterator[Usage]:
    """Take the usage for a `with` block that stores it. If the block fails, give the usage back."""
    used = hub.take_usage()
    try:
        yield used
    except BaseException:
        hub.return_usage(used)
        raise
