"""Take what the calls of this process have used of the hub's messages, to store it."""

from collections.abc import Iterator
from contextlib import contextmanager

from functions.hub_gateway.port import HubGateway
from functions.rollouts.model.usage import Usage


@contextmanager
def taken(hub: HubGateway) -> Iterator[Usage]:
    """Provide the usage since it was last taken. If it could not be stored, it is taken later."""
    used = hub.take_usage()
    try:
        yield used
    except BaseException:
        hub.return_usage(used)
        raise
