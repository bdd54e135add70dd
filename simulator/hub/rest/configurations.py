"""Automatic configurations over the service API.

Source: the REST reference, "Configuration", api-version 2021-04-12, and what the SDKs send.
"""

from simulator.hub.model.configuration import (
    Configuration,
    ConfigurationSettings,
    as_patch,
    condition_error,
    query_error,
)
from simulator.hub.model.device import (
    Authentication,
    AuthenticationType,
    DeviceSettings,
    identity_etag,
)
from simulator.hub.model.errors import invalid
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.twin_document import check_patch
from simulator.hub.model.twins import TwinWrite
from simulator.hub.rest.bodies import as_object
from simulator.hub.rest.operations import Request, number
from simulator.hub.rest.responses import Response, json_response


async def list_configurations(hub: Hub, request: Request) -> Response:
    top = number(request.query.get("top"), "top")
    chosen = list(hub.configurations.all.values())[:top]
    return json_response([hub.configurations.document(one) for one in chosen])


async def get_configuration(hub: Hub, request: Request) -> Response:
    return _configuration_response(hub, hub.configurations.get(request.ids[0]))


async def put_configuration(hub: Hub, request: Request) -> Response:
    """Create a configuration, or with If-Match update it."""
    settings = configuration_settings(request.json, request.ids[0])
    if request.etag is None:
        return _configuration_response(hub, hub.configurations.create(settings))
    return _configuration_response(hub, hub.configurations.update(settings, request.etag))


async def delete_configuration(hub: Hub, request: Request) -> Response:
    hub.configurations.delete(request.ids[0], request.etag)
    return Response(204)


async def check_queries(_hub: Hub, request: Request) -> Response:
    """Report what is wrong with a target condition and metric queries. Nothing is stored."""
    document = as_object(request.json)
    queries = _object(document, "customMetricQueries")
    errors: Document = {
        name: error for name, query in queries.items() if (error := query_error(query)) is not None
    }
    target = condition_error(_text(document, "targetCondition", ""))
    return json_response({"targetConditionError": target, "customMetricQueryErrors": errors})


async def apply_content(hub: Hub, request: Request) -> Response:
    """Write content once to one device. Missing modules are created.

    The desired properties of each module are replaced, those of the device merged (unverified).
    """
    device_id = request.key
    hub.registry.get(device_id)
    content = as_object(request.json)
    modules = _object(content, "modulesContent")
    parts = {name: as_patch(as_object(paths, name)) for name, paths in modules.items()}
    of_device = as_patch(_object(content, "deviceContent"))
    for patch in (of_device, *parts.values()):
        check_patch(patch, "properties.desired")
    if of_device:
        hub.twins.patch(device_id, TwinWrite(has_desired=True, desired=of_device), "*")
    for module_id, desired in parts.items():
        key = f"{device_id}/{module_id}"
        if not hub.registry.has(key):
            hub.registry.create(_edge_module(device_id, module_id))
        hub.twins.replace(key, TwinWrite(has_desired=True, desired=desired), "*")
    return Response(204)


def configuration_settings(body: Json, configuration_id: str) -> ConfigurationSettings:
    """Read the body of a PUT. What the hub writes itself, as results of metrics, is ignored."""
    document = as_object(body)
    if document.get("id", configuration_id) != configuration_id:
        raise invalid("id in the body is not the one in the path")
    priority = document.get("priority") or 0
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise invalid("priority must be a whole number")
    content = _object(document, "content")
    return ConfigurationSettings(
        configuration_id=configuration_id,
        content={name: value for name, value in content.items() if value},
        schema_version=_text(document, "schemaVersion", "1.0"),
        labels=_object(document, "labels"),
        target_condition=_text(document, "targetCondition", ""),
        priority=priority,
        metric_queries=_object(_object(document, "metrics"), "queries"),
    )


def _edge_module(device_id: str, module_id: str) -> DeviceSettings:
    return DeviceSettings(
        device_id=device_id,
        module_id=module_id,
        managed_by="iotEdge",
        authentication=Authentication(type=AuthenticationType.SAS),
    )


def _configuration_response(hub: Hub, configuration: Configuration) -> Response:
    etag = identity_etag(configuration.etag)
    return json_response(hub.configurations.document(configuration), etag=etag)


def _object(document: Document, name: str) -> Document:
    value = document.get(name)
    return {} if value is None else as_object(value, name)


def _text(document: Document, name: str, default: str) -> str:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    return value
