"""Make hubs of devices with tags, and query them."""

from collections.abc import Iterator
from typing import Any

from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.query.tree import UNDEFINED
from simulator.hub.model.twins import read_twin_write
from tests.simulator.hub.builders import make_device, make_hub


def with_tags(*values: Any) -> Hub:
    """Create one device per value, named by its number, with the value as tag `v`."""
    hub = make_hub()
    for number, value in enumerate(values):
        make_device(hub, f"d{number}")
        if value is not UNDEFINED and value is not None:
            hub.twins.patch(f"d{number}", read_twin_write({"tags": {"v": value}}), None)
    return hub


def rows(hub: Hub, text: str) -> list[Document]:
    """Return the rows of all pages of a query."""
    return [row for page in pages(hub, text) for row in page]


def pages(hub: Hub, text: str, size: int | None = None) -> Iterator[list[Document]]:
    continuation = None
    while True:
        page = hub.queries.run(text, size, continuation)
        yield page.rows
        continuation = page.continuation
        if continuation is None:
            return


def ids(hub: Hub, condition: str) -> list[int]:
    """Return the numbers of the devices that meet a condition."""
    query = f"SELECT deviceId FROM devices WHERE {condition}"  # noqa: S608  is what is tested
    found = rows(hub, query)
    return [int(str(row["deviceId"])[1:]) for row in found]


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
