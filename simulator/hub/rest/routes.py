"""The routes of the service API. Each is declared once, here.

A path is split while it is still encoded, and each segment is decoded once. A device id with any
character, a slash sent as %2F included, stays one segment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from simulator.hub.model.access import Permission
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.metering import Operation
from simulator.hub.rest import configurations, jobs, operations
from simulator.hub.rest.admission import ServiceOperation
from simulator.hub.rest.operations import Request
from simulator.hub.rest.responses import Response

type Handler = Callable[[Hub, Request], Awaitable[Response]]

_READ, _WRITE = Permission.REGISTRY_READ, Permission.REGISTRY_WRITE
_SERVICE = Permission.SERVICE_CONNECT


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the service API. No field has a default, so none can be forgotten."""

    verb: str
    path: str
    """Segments in braces are ids; any other must be equal."""
    operation: ServiceOperation
    """Selects the throttle, the metering of messages and the faults that apply."""
    permission: Permission
    """What the caller's policy must include."""
    handler: Handler

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))


# That statistics and module identities count as registry operations is unverified.
ROUTES = (
    Route("POST", "/devices/query", Operation.QUERY, _SERVICE, operations.run_query),
    Route("GET", "/devices", Operation.REGISTRY, _READ, operations.list_devices),
    Route("POST", "/devices", Operation.REGISTRY, _WRITE, operations.bulk_devices),
    Route("GET", "/devices/{id}", Operation.REGISTRY, _READ, operations.get_device),
    Route("PUT", "/devices/{id}", Operation.REGISTRY, _WRITE, operations.put_device),
    Route("DELETE", "/devices/{id}", Operation.REGISTRY, _WRITE, operations.delete_device),
    Route("GET", "/devices/{id}/modules", Operation.REGISTRY, _READ, operations.list_modules),
    Route("GET", "/devices/{id}/modules/{id}", Operation.REGISTRY, _READ, operations.get_device),
    Route("PUT", "/devices/{id}/modules/{id}", Operation.REGISTRY, _WRITE, operations.put_device),
    Route(
        "DELETE",
        "/devices/{id}/modules/{id}",
        Operation.REGISTRY,
        _WRITE,
        operations.delete_device,
    ),
    Route(
        "POST",
        "/devices/{id}/applyConfigurationContent",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.apply_content,
    ),
    Route("GET", "/twins/{id}", Operation.TWIN_READ, _SERVICE, operations.get_twin),
    Route("PATCH", "/twins/{id}", Operation.TWIN_UPDATE, _SERVICE, operations.patch_twin),
    Route("PUT", "/twins/{id}", Operation.TWIN_UPDATE, _SERVICE, operations.put_twin),
    Route("POST", "/twins/{id}/methods", Operation.METHOD, _SERVICE, operations.invoke_method),
    Route("GET", "/twins/{id}/modules/{id}", Operation.TWIN_READ, _SERVICE, operations.get_twin),
    Route(
        "PATCH", "/twins/{id}/modules/{id}", Operation.TWIN_UPDATE, _SERVICE, operations.patch_twin
    ),
    Route("PUT", "/twins/{id}/modules/{id}", Operation.TWIN_UPDATE, _SERVICE, operations.put_twin),
    Route(
        "POST",
        "/twins/{id}/modules/{id}/methods",
        Operation.METHOD,
        _SERVICE,
        operations.invoke_method,
    ),
    Route(
        "GET",
        "/configurations",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.list_configurations,
    ),
    Route(
        "POST",
        "/configurations/testQueries",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.check_queries,
    ),
    Route(
        "GET",
        "/configurations/{id}",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.get_configuration,
    ),
    Route(
        "PUT",
        "/configurations/{id}",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.put_configuration,
    ),
    Route(
        "DELETE",
        "/configurations/{id}",
        Operation.CONFIGURATION,
        _SERVICE,
        configurations.delete_configuration,
    ),
    Route("GET", "/jobs/v2/query", Operation.JOB, _SERVICE, jobs.query_jobs),
    Route("PUT", "/jobs/v2/{id}", Operation.JOB, _SERVICE, jobs.create_job),
    Route("GET", "/jobs/v2/{id}", Operation.JOB, _SERVICE, jobs.get_job),
    Route("POST", "/jobs/v2/{id}/cancel", Operation.JOB, _SERVICE, jobs.cancel_job),
    Route(
        "GET", "/statistics/service", Operation.REGISTRY, _SERVICE, operations.service_statistics
    ),
    Route("GET", "/statistics/devices", Operation.REGISTRY, _READ, operations.registry_statistics),
)
"""The first match is used, so a route with a fixed segment comes before one with an id there."""

_ROUTES_BY_SHAPE: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
for _route in ROUTES:
    _shape = _route.verb, len(_route.segments)
    _ROUTES_BY_SHAPE.setdefault(_shape, []).append((_route.segments, _route))

NOT_EMULATED = frozenset({"jobs", "messages", "digitaltwins"})
"""Collections and actions that the service has and this hub does not emulate."""


def split_path(raw_path: str) -> tuple[str, ...]:
    """Return the decoded segments of a path as received; a trailing slash adds none."""
    path = raw_path.partition("?")[0].strip("/")
    return tuple(unquote(segment) for segment in path.split("/")) if path else ()


def find(verb: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """Return the route and the ids in its path. Raises NOT_EMULATED or NO_SUCH_ROUTE."""
    for pattern, route in _ROUTES_BY_SHAPE.get((verb, len(segments)), ()):
        ids = _match(pattern, segments)
        if ids is not None:
            return route, ids
    shown = "/".join(segments)
    # Segments at even positions name collections and actions; those at odd positions are ids.
    if NOT_EMULATED.intersection(segments[::2]):
        raise HubError(ErrorCode.NOT_EMULATED, f"{verb} /{shown} is not emulated")
    raise HubError(ErrorCode.NO_SUCH_ROUTE, f"{verb} /{shown} is not a route of this hub")


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    ids: tuple[str, ...] = ()
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            ids = (*ids, segment)
        elif expected != segment:
            return None
    return ids
