"""Paths: how the collections read a path of names in one of their rows."""

from collections.abc import Callable
from typing import Any

from simulator.hub.model.clock import timestamp
from simulator.hub.model.device import identity_etag
from simulator.hub.model.json_types import Json
from simulator.hub.model.query.tree import UNDEFINED, Undefined
from simulator.hub.model.store import Entry
from simulator.hub.model.twin import Section, twin_document, twin_etag

type Field = Json | Undefined
type Evaluator = Callable[[Any], Field]
type Paths = Callable[[tuple[str, ...]], Evaluator]
"""Returns the function that reads the path of these names in a row of a collection."""


def twin_path(names: tuple[str, ...]) -> Evaluator:
    """Return the function that reads a path in an entry's twin, without rendering the twin."""
    match names:
        case ("properties", "desired", *below):
            return _section_reader(lambda entry: entry.twin.desired, tuple(below))
        case ("properties", "reported", *below):
            return _section_reader(lambda entry: entry.twin.reported, tuple(below))
        case (name, *below):
            return _below(_ROOTS.get(name, _from_document(name)), tuple(below))
        case _:
            return lambda _entry: UNDEFINED


def document_path(names: tuple[str, ...]) -> Evaluator:
    """Return the function that reads a path in a row that is a document."""
    return _below(lambda document: document, names)


_ROOTS: dict[str, Evaluator] = {
    "deviceId": lambda entry: entry.device.device_id,
    "tags": lambda entry: entry.twin.tags,
    "moduleId": lambda entry: (
        UNDEFINED if entry.device.module_id is None else entry.device.module_id
    ),
    "configurations": lambda entry: entry.twin.configurations,
    "status": lambda entry: entry.device.status.value,
    "connectionState": lambda entry: entry.device.connection_state.value,
    "lastActivityTime": lambda entry: timestamp(entry.device.last_activity),
    "etag": lambda entry: twin_etag(entry.twin.etag),
    "deviceEtag": lambda entry: identity_etag(entry.device.etag),
    "version": lambda entry: entry.twin.version,
}


def _from_document(name: str) -> Evaluator:
    """Read a rarely used name from the rendered twin."""
    return lambda entry: twin_document(entry.device, entry.twin).get(name, UNDEFINED)


def _section_reader(section: Callable[[Entry], Section], below: tuple[str, ...]) -> Evaluator:
    if not below or below[0].startswith("$"):
        return _below(lambda entry: section(entry).document(), below)
    return _below(lambda entry: section(entry).properties, below)


def _below(root: Evaluator, names: tuple[str, ...]) -> Evaluator:
    def read(entry: Entry) -> Field:
        value = root(entry)
        for name in names:
            if not isinstance(value, dict):
                return UNDEFINED
            value = value.get(name, UNDEFINED)
        return value

    return read if names else root
