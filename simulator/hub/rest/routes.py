"""Which operation a method and path mean, and what permission it takes.

The path is split while it is still encoded and each segment decoded once, so that a device id
with any character, a slash written %2F included, stays one segment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from simulator.hub.model.access import Permission
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.rest import configurations, jobs, operations
from simulator.hub.rest.answers import Answer
from simulator.hub.rest.operations import Request

_ID = "{id}"


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: tuple[str, ...]
    permission: Permission
    operation: Callable[[Hub, Request], Awaitable[Answer]]


ROUTES = (
    Route("POST", ("devices", "query"), Permission.SERVICE_CONNECT, operations.run_query),
    Route("GET", ("devices",), Permission.REGISTRY_READ, operations.list_devices),
    Route("POST", ("devices",), Permission.REGISTRY_WRITE, operations.bulk_devices),
    Route("GET", ("devices", _ID), Permission.REGISTRY_READ, operations.get_device),
    Route("PUT", ("devices", _ID), Permission.REGISTRY_WRITE, operations.put_device),
    Route("DELETE", ("devices", _ID), Permission.REGISTRY_WRITE, operations.delete_device),
    Route("GET", ("devices", _ID, "modules"), Permission.REGISTRY_READ, operations.list_modules),
    *(
        Route(method, ("devices", _ID, "modules", _ID), permission, operation)
        for method, permission, operation in (
            ("GET", Permission.REGISTRY_READ, operations.get_device),
            ("PUT", Permission.REGISTRY_WRITE, operations.put_device),
            ("DELETE", Permission.REGISTRY_WRITE, operations.delete_device),
        )
    ),
    Route("GET", ("twins", _ID), Permission.SERVICE_CONNECT, operations.get_twin),
    Route("PATCH", ("twins", _ID), Permission.SERVICE_CONNECT, operations.patch_twin),
    Route("PUT", ("twins", _ID), Permission.SERVICE_CONNECT, operations.put_twin),
    Route("POST", ("twins", _ID, "methods"), Permission.SERVICE_CONNECT, operations.invoke_method),
    *(
        Route(
            method, ("twins", _ID, "modules", _ID, *action), Permission.SERVICE_CONNECT, operation
        )
        for method, action, operation in (
            ("GET", (), operations.get_twin),
            ("PATCH", (), operations.patch_twin),
            ("PUT", (), operations.put_twin),
            ("POST", ("methods",), operations.invoke_method),
        )
    ),
    Route(
        "POST",
        ("configurations", "testQueries"),
        Permission.SERVICE_CONNECT,
        configurations.check_queries,
    ),
    Route(
        "POST",
        ("devices", _ID, "applyConfigurationContent"),
        Permission.SERVICE_CONNECT,
        configurations.apply_content,
    ),
    *(
        Route(method, ("configurations", *ids), permission, operation)
        for method, ids, permission, operation in (
            ("GET", (), Permission.SERVICE_CONNECT, configurations.list_configurations),
            ("GET", (_ID,), Permission.SERVICE_CONNECT, configurations.get_configuration),
            ("PUT", (_ID,), Permission.SERVICE_CONNECT, configurations.put_configuration),
            ("DELETE", (_ID,), Permission.SERVICE_CONNECT, configurations.delete_configuration),
        )
    ),
    Route("GET", ("jobs", "v2", "query"), Permission.SERVICE_CONNECT, jobs.query_jobs),
    Route("PUT", ("jobs", "v2", _ID), Permission.SERVICE_CONNECT, jobs.create_job),
    Route("GET", ("jobs", "v2", _ID), Permission.SERVICE_CONNECT, jobs.get_job),
    Route("POST", ("jobs", "v2", _ID, "cancel"), Permission.SERVICE_CONNECT, jobs.cancel_job),
    Route(
        "GET",
        ("statistics", "service"),
        Permission.SERVICE_CONNECT,
        operations.service_statistics,
    ),
    Route(
        "GET",
        ("statistics", "devices"),
        Permission.REGISTRY_READ,
        operations.registry_statistics,
    ),
)

_ROUTES_BY_SHAPE: dict[tuple[str, int], list[Route]] = {}
for _route in ROUTES:
    _ROUTES_BY_SHAPE.setdefault((_route.method, len(_route.pattern)), []).append(_route)

NOT_EMULATED = frozenset({"jobs", "messages", "digitaltwins"})
"""Words of paths that the service has and this hub has not."""


def split_path(raw_path: str) -> tuple[str, ...]:
    """Decoded segments of a path as received; a trailing slash adds none."""
    path = raw_path.partition("?")[0].strip("/")
    return tuple(unquote(segment) for segment in path.split("/")) if path else ()


def find(method: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """The route and the ids in its path. Raises NOT_EMULATED or NO_SUCH_ROUTE."""
    for route in _ROUTES_BY_SHAPE.get((method, len(segments)), ()):
        ids = _match(route.pattern, segments)
        if ids is not None:
            return route, ids
    shown = "/".join(segments)
    # Words at even places name collections and actions; those at odd places are ids.
    if NOT_EMULATED.intersection(segments[::2]):
        raise HubError(ErrorCode.NOT_EMULATED, f"{method} /{shown} is not emulated")
    raise HubError(ErrorCode.NO_SUCH_ROUTE, f"{method} /{shown} is not a route of this hub")


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    ids: tuple[str, ...] = ()
    for word, segment in zip(pattern, segments, strict=True):
        if word == _ID:
            ids = (*ids, segment)
        elif word != segment:
            return None
    return ids
