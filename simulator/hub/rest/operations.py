"""The handlers of the service API: each reads a request and calls the model.

Source: the REST reference of Azure IoT Hub, and what the service SDKs send and expect: 200 for
creating and updating, 204 for deleting, `If-Match` with and without quotes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.hub.model.device import device_document, identity_etag
from simulator.hub.model.errors import HubError, device_not_found, invalid
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Json, from_json, to_json
from simulator.hub.model.methods import MethodResponse
from simulator.hub.model.registry import MAX_LIST, Etag
from simulator.hub.model.store import Entry
from simulator.hub.model.twin import twin_document, twin_etag
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.bodies import as_object, device_settings, method_request, query_text
from simulator.hub.rest.bulk import bulk_write
from simulator.hub.rest.responses import Response, form_b, json_response


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request after authorization and routing."""

    ids: tuple[str, ...]
    """The ids in the path, decoded, in order."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names are case-insensitive."""
    body: bytes

    @property
    def key(self) -> str:
        """Return the key of the device or module that the path names.

        Raises DEVICE_NOT_FOUND for an id with a slash: it is never registered, and it could be
        confused with the key of a module.
        """
        if any("/" in part for part in self.ids):
            raise device_not_found(self.ids[0])
        return "/".join(self.ids)

    @property
    def json(self) -> Json:
        return from_json(self.body)

    @property
    def etag(self) -> Etag:
        value = self.headers.get("If-Match")
        return value.strip().strip('"') if value is not None else None


async def list_devices(hub: Hub, request: Request) -> Response:
    top = number(request.query.get("top"), "top")
    devices = hub.registry.first(MAX_LIST if top is None else top)
    return json_response([device_document(device) for device in devices])


async def get_device(hub: Hub, request: Request) -> Response:
    device = hub.registry.get(request.key)
    return json_response(device_document(device), etag=identity_etag(device.etag))


async def put_device(hub: Hub, request: Request) -> Response:
    """Create an identity, or with If-Match update it."""
    settings = device_settings(request.json, *request.ids)
    if request.etag is None:
        device = hub.registry.create(settings)
    else:
        device = hub.registry.update(settings, request.etag)
    return json_response(device_document(device), etag=identity_etag(device.etag))


async def delete_device(hub: Hub, request: Request) -> Response:
    hub.registry.delete(request.key, request.etag)
    return Response(204)


async def list_modules(hub: Hub, request: Request) -> Response:
    return json_response(
        [device_document(module) for module in hub.registry.modules_of(request.key)]
    )


async def bulk_devices(hub: Hub, request: Request) -> Response:
    """Write many identities. 400 has the same body as 200: the SDKs read both alike."""
    errors = bulk_write(hub, request.json)
    result: Json = {"isSuccessful": not errors, "errors": errors, "warnings": []}
    return Response(400 if errors else 200, to_json(result))


async def get_twin(hub: Hub, request: Request) -> Response:
    return _twin(hub.twins.get(request.key))


async def patch_twin(hub: Hub, request: Request) -> Response:
    write = read_twin_write(as_object(request.json))
    return _twin(hub.twins.patch(request.key, write, request.etag))


async def put_twin(hub: Hub, request: Request) -> Response:
    write = read_twin_write(as_object(request.json))
    return _twin(hub.twins.replace(request.key, write, request.etag))


async def invoke_method(hub: Hub, request: Request) -> Response:
    """Invoke a direct method. Its errors have form B, so they are rendered here."""
    ended: asyncio.Future[MethodResponse | HubError] = asyncio.Future()
    try:
        hub.methods.invoke(
            request.key,
            method_request(request.json),
            lambda result: None if ended.done() else ended.set_result(result),
        )
    except HubError as error:
        return form_b(error, hub.clock.now())
    result = await ended
    if isinstance(result, HubError):
        return form_b(result, hub.clock.now())
    return json_response({"status": result.status, "payload": result.payload})


async def run_query(hub: Hub, request: Request) -> Response:
    page = hub.queries.run(
        query_text(request.json),
        number(request.headers.get("x-ms-max-item-count"), "x-ms-max-item-count"),
        request.headers.get("x-ms-continuation"),
    )
    hub.traffic.counters.query_rows += len(page.rows)
    headers = {"x-ms-item-type": page.item_type}
    if page.continuation is not None:
        headers["x-ms-continuation"] = page.continuation
    rows: list[Json] = list(page.rows)
    return Response(200, to_json(rows), headers)


async def service_statistics(hub: Hub, _request: Request) -> Response:
    """Count the connected devices. Modules, whose keys have a slash, are not devices."""
    connected = sum("/" not in key for key, _link in hub.connections.links)
    return json_response({"connectedDeviceCount": connected})


async def registry_statistics(hub: Hub, _request: Request) -> Response:
    total, enabled, disabled = hub.registry.statistics()
    return json_response(
        {
            "totalDeviceCount": total,
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": disabled,
        }
    )


def _twin(entry: Entry) -> Response:
    return json_response(twin_document(entry.device, entry.twin), etag=twin_etag(entry.twin.etag))


def number(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10) or int(text) == 0:  # noqa: PLR2004
        raise invalid(f"{name} must be a positive number")
    return int(text)
