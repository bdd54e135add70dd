"""A hub's state on file: what comes back, what a kill or a torn line may cost, what is refused."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub import HubOptions, LocalHub
from simulator.hub.command import run
from simulator.hub.model.device import DeviceSettings, Status, device_document
from simulator.hub.model.errors import HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document
from simulator.hub.model.persistence import StateError
from simulator.hub.model.twin import twin_document
from simulator.hub.model.twins import read_twin_write
from simulator.hub.options import DEVELOPMENT_KEY
from simulator.hub.state_file import StateFile
from tests.simulator.hub.builders import connect, make_device, make_hub, settings, token


def everything(hub: Hub) -> list[tuple[Document, Document]]:
    """What the service shows of every identity and its twin."""
    devices = hub.registry.first(1000)
    modules = [module for device in devices for module in hub.registry.modules_of(device.key)]
    return [
        (device_document(identity), twin_document(identity, hub.twins.get(identity.key).twin))
        for identity in (*devices, *modules)
    ]


def some_devices(hub: Hub) -> None:
    """Three devices, one of them with a module, one removed again."""
    for device_id in ("one", "two", "three"):
        make_device(hub, device_id)
    hub.registry.create(module("one", "camera"))
    edge = replace(settings("edge"), iot_edge=True, device_scope="s", parent_scopes=("p",))
    hub.registry.create(edge)
    hub.twins.patch("one", read_twin_write({"tags": {"a": "ä\ud800"}}), None)
    hub.twins.patch("one/camera", read_twin_write({"properties": {"desired": {"b": 1.5}}}), None)
    hub.twins.report("two", {"c": [1, {"d": True}]})
    hub.registry.delete("three", "*")


def module(device_id: str, module_id: str) -> DeviceSettings:
    return DeviceSettings(
        device_id=device_id,
        module_id=module_id,
        authentication=settings(device_id).authentication,
    )


def restored(path: Path) -> Hub:
    hub = make_hub()
    with StateFile(path, hub.persistence):
        return hub


class TestRestoring:
    def test_everything_comes_back_from_one_run_to_the_next(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            some_devices(hub)
        again = restored(tmp_path / "state")
        assert everything(again) == everything(hub)
        make_device(again, "later")
        rows = again.queries.run("SELECT deviceId FROM devices", None, None).rows
        assert [row["deviceId"] for row in rows] == ["one", "two", "edge", "later"]

    def test_nobody_is_connected_afterwards(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            make_device(hub)
            connect(hub)
            hub.twins.report("one", {"a": 1})
        assert (
            device_document(restored(tmp_path / "state").registry.get("one"))["connectionState"]
            == "Disconnected"
        )

    def test_coming_and_going_writes_nothing(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            make_device(hub)
            before = (tmp_path / "state").stat().st_size
            hub.connections.detach("one", connect(hub))
            hub.accept_telemetry("one")
            assert (tmp_path / "state").stat().st_size == before

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
    hub = make_hub()
    records: list[Document] = []
    hub.persistence.keep_with(lambda record: records.append(json.loads(json.dumps(record))))
    for operation in operations:
        apply(hub, *operation)
    from_log, from_snapshot = make_hub(), make_hub()
    from_log.persistence.restore(records)
    from_snapshot.persistence.restore(json.loads(json.dumps(list(hub.persistence.snapshot()))))
    assert everything(from_log) == everything(from_snapshot) == everything(hub)


class TestTornFiles:
    def test_any_cut_leaves_the_state_of_some_moment(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        hub = make_hub()
        moments = [everything(hub)]
        with StateFile(path, hub.persistence):
            header = path.stat().st_size
            for number in range(4):
                make_device(hub, f"d{number}")
                moments.append(everything(hub))
            whole = path.read_bytes()
        for end in range(header, len(whole) + 1, 7):
            path.write_bytes(whole[:end])
            assert everything(restored(path)) == moments[whole[:end].count(b"\n") - 1]

    def test_what_follows_a_torn_record_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        with StateFile(path, (hub := make_hub()).persistence):
            make_device(hub, "one")
        path.write_bytes(path.read_bytes() + b'{"put": {"ser')
        with StateFile(path, (again := make_hub()).persistence):
            make_device(again, "two")
        assert [device.key for device in restored(path).registry.first(9)] == ["one", "two"]

    def test_a_change_that_does_not_fit_on_the_disk_is_not_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "state"
        write = os.write
        hub = make_hub()
        with StateFile(path, hub.persistence):
            make_device(hub, "one")
            with monkeypatch.context() as full:
                full.setattr(os, "write", lambda file, data: write(file, data[:10]))
                with pytest.raises(HubError, match="only 10 of"):
                    make_device(hub, "two")
            make_device(hub, "three")
        for kept in (hub, restored(path)):
            assert [device.key for device in kept.registry.first(9)] == ["one", "three"]

    @pytest.mark.parametrize(
        "text", ["", "{}\n", "rubbish\n", '{"put": 1}\n', '{"removed": "one"}\n', "{\n{}\n"]
    )
    def test_what_is_no_state_is_refused_and_left_alone(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "state"
        StateFile(path, make_hub().persistence).__enter__().__exit__(None, None, None)
        content = (path.read_text() if text.startswith("{") and len(text) > 3 else "") + text
        path.write_text(content)
        with pytest.raises(StateError):
            restored(path)
        assert path.read_text() == content

    def test_a_file_in_use_is_refused(self, tmp_path: Path) -> None:
        with StateFile(tmp_path / "state", make_hub().persistence), pytest.raises(StateError):
            restored(tmp_path / "state")


def test_the_file_is_rewritten_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.hub.state_file._REWRITE_BYTES", 20_000)
    hub = make_hub()
    with StateFile(tmp_path / "state", hub.persistence):
        make_device(hub)
        for number in range(200):
            hub.twins.report("one", {"n": number})
        assert (tmp_path / "state").stat().st_size < 30_000
    assert everything(restored(tmp_path / "state")) == everything(hub)


def test_a_disk_without_room_for_rewriting_still_takes_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.hub.state_file._REWRITE_BYTES", 2_000)
    hub = make_hub()
    with StateFile(tmp_path / "state", hub.persistence):
        make_device(hub)

        def full(_file: int) -> None:
            raise OSError(errno.ENOSPC, "no room")

        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            for number in range(20):
                hub.twins.report("one", {"n": number})
    assert {path.name for path in tmp_path.iterdir()} == {"state", "state.lock"}
    assert everything(restored(tmp_path / "state")) == everything(hub)


def test_a_hub_that_cannot_have_its_file_says_so(
    tmp_path: Path, certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("rubbish")
    options = HubOptions(
        certificates=certificates, https_port=0, mqtt_port=0, state_file=tmp_path / "state"
    )
    assert run(options) == 2
    assert "is not a local hub's state" in capsys.readouterr().err
    with pytest.raises(StateError), LocalHub(options):
        pass


def test_a_folder_in_the_files_place_is_an_error_not_a_crash(
    tmp_path: Path, certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "state").mkdir()
    options = HubOptions(certificates=certificates, https_port=0, mqtt_port=0, state_file=folder)
    assert run(options) == 2
    assert f"no state can be kept in {folder}" in capsys.readouterr().err


PROGRAM = """
import sys
from pathlib import Path
from simulator.hub import HubOptions, state_file
from simulator.hub.command import run
state_file._REWRITE_BYTES = 5_000
folder, state = map(Path, sys.argv[1:])
sys.exit(run(HubOptions(certificates=folder, https_port=0, mqtt_port=0, state_file=state)))
"""


@contextmanager
def hub_process(certificates: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A hub that rewrites its file often, and its base URL; killed when the block ends."""
    command = [sys.executable, "-c", PROGRAM, str(certificates), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = ""
        while not line.startswith("hub ready: "):
            line = process.stdout.readline()
            assert line, "the hub did not start"
        try:
            yield process, line.removeprefix("hub ready: ").partition(",")[0]
        finally:
            process.kill()


def test_a_killed_hub_has_lost_nothing_that_it_had_answered(
    certificates: Path, tmp_path: Path
) -> None:
    """Three times, at a moment of its own each: while writing, rewriting, or between."""
    state = tmp_path / "state"
    answered = 0
    for moment in (0.1, 0.2, 0.35):
        with hub_process(certificates, state) as (process, url), requests.Session() as session:
            resource = url.removeprefix("https://")
            session.trust_env = False
            session.verify = str(certificates / "ca.pem")
            session.headers["Authorization"] = token(
                resource, DEVELOPMENT_KEY, expiry=time.time() + 60, policy="iothubowner"
            )
            if not answered:
                session.put(f"{url}/devices/one", json={"deviceId": "one"}, timeout=10)
            found = session.get(f"{url}/twins/one", timeout=10).json()
            assert found.get("tags", {}).get("n", 0) in (answered, answered + 1)
            killer = threading.Timer(moment, process.kill)
            killer.start()
            answered = write_until_it_dies(session, f"{url}/twins/one", answered)
            killer.join()
    again = restored(state).twins.get("one").twin.tags
    assert again["n"] in (answered, answered + 1)


def write_until_it_dies(session: requests.Session, url: str, answered: int) -> int:
    """Count up in a tag; returns the last number that the hub has answered."""
    try:
        while True:
            session.patch(url, json={"tags": {"n": answered + 1}}, timeout=10).raise_for_status()
            answered += 1
    except requests.ConnectionError:
        return answered
