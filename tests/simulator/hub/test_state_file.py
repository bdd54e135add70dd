"""The file of `--state`: what is restored, and how large it gets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.device import DeviceSettings, Status, device_document
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.twins import read_twin_write
from simulator.hub.state_file import StateFile
from tests.simulator.hub.builders import (
    MemoryTable,
    connect,
    make_device,
    make_hub,
    settings,
)
from tests.simulator.hub.stored_hubs import everything, module, restored


def some_devices(hub: Hub) -> None:
    """Create three devices, one of them with a module, and delete one."""
    for device_id in ("one", "two", "three"):
        make_device(hub, device_id)
    hub.registry.create(module("one", "camera"))
    edge = replace(settings("edge"), iot_edge=True, device_scope="s", parent_scopes=("p",))
    hub.registry.create(edge)
    hub.twins.patch("one", read_twin_write({"tags": {"a": "ä\ud800"}}), None)
    hub.twins.patch("one/camera", read_twin_write({"properties": {"desired": {"b": 1.5}}}), None)
    hub.twins.report("two", {"c": [1, {"d": True}]})
    hub.registry.delete("three", "*")


def bytes_in(folder: Path) -> int:
    """Return the size of the database and its write-ahead log."""
    return sum(path.stat().st_size for path in folder.iterdir())


class TestRestoring:
    def test_everything_is_restored_by_the_next_run(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            some_devices(hub)
        again = restored(tmp_path / "state")
        assert everything(again) == everything(hub)
        make_device(again, "later")
        rows = again.queries.run("SELECT deviceId FROM devices", None, None).rows
        assert [row["deviceId"] for row in rows] == ["one", "two", "edge", "later"]

    def test_no_device_is_connected_after_a_restart(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            make_device(hub)
            connect(hub)
            hub.twins.report("one", {"a": 1})
        assert (
            device_document(restored(tmp_path / "state").registry.get("one"))["connectionState"]
            == "Disconnected"
        )

    def test_connecting_and_sending_telemetry_write_nothing(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            make_device(hub)
            before = bytes_in(tmp_path)
            hub.connections.detach("one", connect(hub))
            hub.accept_telemetry("one")
            assert bytes_in(tmp_path) == before

    def test_a_disabled_device_stays_disabled_with_its_modules(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            some_devices(hub)
            disabled = DeviceSettings(
                device_id="one",
                authentication=settings("one").authentication,
                status=Status.DISABLED,
            )
            hub.registry.update(disabled, "*")
        assert restored(tmp_path / "state").registry.get("one/camera").status is Status.DISABLED


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["create", "module", "delete", "patch", "report", "update"]),
        st.sampled_from(["one", "two"]),
        st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 3), max_size=2),
    ),
    max_size=15,
)


def apply(hub: Hub, operation: str, device_id: str, patch: Document) -> None:
    known = hub.registry.has(device_id)
    match operation:
        case "create" if not known:
            make_device(hub, device_id)
        case "module" if known and not hub.registry.has(f"{device_id}/m"):
            hub.registry.create(module(device_id, "m"))
        case "delete" if known:
            hub.registry.delete(device_id, "*")
        case "patch" if known:
            hub.twins.patch(device_id, read_twin_write({"tags": patch}), None)
        case "report" if known:
            hub.twins.report(device_id, patch)
        case "update" if known:
            hub.registry.update(settings(device_id), "*")


@given(OPERATIONS)
def test_the_records_of_any_changes_give_the_same_state(operations: list[Any]) -> None:
    hub, table = make_hub(), MemoryTable()
    hub.persistence.store_in(table)
    for operation in operations:
        apply(hub, *operation)
    again = make_hub()
    again.persistence.restore(table.in_order())
    assert everything(again) == everything(hub)


def test_the_file_does_not_grow_with_the_number_of_changes(tmp_path: Path) -> None:
    hub = make_hub()
    with StateFile(tmp_path / "state", hub.persistence):
        make_device(hub)
        for number in range(3000):
            hub.twins.report("one", {"n": number})
        assert bytes_in(tmp_path) < 5_000_000
    assert bytes_in(tmp_path) < 30_000
    assert everything(restored(tmp_path / "state")) == everything(hub)
