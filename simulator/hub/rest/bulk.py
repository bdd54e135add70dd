"""Many registry writes in one request.

Source: the REST reference, "Bulk Registry - Update Registry": at most 100 items, each with its
own import mode; the answer lists what failed. Modes come in any case.
"""

from simulator.hub.model.errors import HubError, invalid
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.registry import Etag
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.bodies import as_object, settings

MAX_ITEMS = 100


def bulk_write(hub: Hub, body: Json) -> list[Json]:
    """Write every item and return the errors of those that failed.

    Raises ARGUMENT_INVALID, and writes nothing, if the body is not such a list.
    """
    if not isinstance(body, list) or len(body) > MAX_ITEMS:
        raise invalid(f"the body must be an array of at most {MAX_ITEMS} devices")
    items = [as_object(item, "an item") for item in body]
    errors: list[Json] = []
    for item in items:
        device_id = item.get("id")
        try:
            if not isinstance(device_id, str):
                raise invalid("an item has no id")
            _write(hub, device_id, item)
        except HubError as error:
            errors.append(
                {
                    "deviceId": device_id,
                    "errorCode": error.code.wire_name,
                    "errorStatus": error.message,
                }
            )
    return errors


def _write(hub: Hub, device_id: str, item: Document) -> None:
    mode = item.get("importMode") or "createOrUpdate"
    operation, matched, _ = str(mode).lower().partition("ifmatchetag")
    etag = _etag(item, "twinETag" if operation == "updatetwin" else "eTag") if matched else "*"
    match operation:
        case "create":
            _create(hub, device_id, item)
        case "update":
            hub.registry.update(settings(item, device_id), etag)
        case "createorupdate" if hub.registry.has(device_id):
            hub.registry.update(settings(item, device_id), etag)
        case "createorupdate":
            _create(hub, device_id, item)
        case "delete":
            hub.registry.delete(device_id, etag)
        case "updatetwin":
            hub.twins.patch(device_id, read_twin_write(item), etag)
        case _:
            raise invalid(f"no such importMode: {mode}")


def _create(hub: Hub, device_id: str, item: Document) -> None:
    write = read_twin_write(item)
    hub.registry.create(settings(item, device_id))
    if write.has_tags or write.has_desired:
        hub.twins.patch(device_id, write, "*")


def _etag(item: Document, name: str) -> Etag:
    value = item.get(name)
    return value.strip('"') if isinstance(value, str) else "*"
