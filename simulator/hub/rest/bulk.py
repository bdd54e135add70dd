"""Bulk writes of the identity registry.

Source: the REST reference, "Bulk Registry - Update Registry": at most 100 items, each with its
own import mode; the response lists the failed items. Modes are read in any case.
"""

from simulator.hub.model.device import check_device_id, identity_key
from simulator.hub.model.errors import HubError, invalid
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.registry import Etag
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.bodies import as_object, settings

MAX_ITEMS = 100


def bulk_write(hub: Hub, body: Json) -> list[Json]:
    """Write every item and return the errors of the failed ones.

    Raises ARGUMENT_INVALID, and writes nothing, if the body is not a list of objects.
    """
    if not isinstance(body, list) or len(body) > MAX_ITEMS:
        raise invalid(f"the body must be an array of at most {MAX_ITEMS} devices")
    items = [as_object(item, "an item") for item in body]
    errors: list[Json] = []
    for item in items:
        device_id, module_id = item.get("id"), item.get("moduleId")
        try:
            _write(hub, _target(device_id, module_id), item)
        except HubError as error:
            named: Document = {} if module_id is None else {"moduleId": module_id}
            errors.append(
                {
                    "deviceId": device_id,
                    **named,
                    "errorCode": error.code.wire_name,
                    "errorStatus": error.message,
                }
            )
    return errors


type _Target = tuple[str, str | None]


def _target(device_id: Json, module_id: Json) -> _Target:
    """Return the ids of an item. One with `moduleId` is a module."""
    if not isinstance(device_id, str):
        raise invalid("an item has no id")
    if module_id is not None and not isinstance(module_id, str):
        raise invalid("moduleId must be a string")
    for part in (device_id, module_id or device_id):
        check_device_id(part)
    return device_id, module_id


def _write(hub: Hub, target: _Target, item: Document) -> None:
    key = identity_key(*target)
    mode = item.get("importMode") or "createOrUpdate"
    operation, matched, _ = str(mode).lower().partition("ifmatchetag")
    etag = _etag(item, "twinETag" if operation == "updatetwin" else "eTag") if matched else "*"
    match operation:
        case "create":
            _create(hub, target, item)
        case "update":
            hub.registry.update(settings(item, *target), etag)
        case "createorupdate" if hub.registry.has(key):
            hub.registry.update(settings(item, *target), etag)
        case "createorupdate":
            _create(hub, target, item)
        case "delete":
            hub.registry.delete(key, etag)
        case "updatetwin":
            hub.twins.patch(key, read_twin_write(item), etag)
        case _:
            raise invalid(f"unknown importMode: {mode}")


def _create(hub: Hub, target: _Target, item: Document) -> None:
    write = read_twin_write(item)
    hub.registry.create(settings(item, *target))
    if write.has_tags or write.has_desired:
        hub.twins.patch(identity_key(*target), write, "*")


def _etag(item: Document, name: str) -> Etag:
    value = item.get(name)
    return value.strip('"') if isinstance(value, str) else "*"
