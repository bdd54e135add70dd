"""Test devices that really update, with agent, disk, sockets, hub and faults."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.admission import Policy
from device_agent.credentials import Credentials
from device_agent.disk import FolderStorage
from device_agent.hub_connection import HubConnection, OnMethod
from signed_firmware.publisher import build_key_set, generate_key, sign_manifest
from signed_firmware.trust import TrustStore
from simulator.hub import LocalHub
from simulator.simulated_device import installing
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.simulated_ports import SimulatedHealth
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.simulator.simulated_device.package_server import SECRET, package_server
from tests.simulator.simulated_device.scene import (
    MODEL,
    PACKAGE,
    STARTED,
    Scene,
    make_manifest,
)
from tests.waiting import eventually


@pytest.fixture
def scene(
    devices: DeviceThread, hub: LocalHub, owner: FleetOwner, device_id: str, tmp_path: Path
) -> Iterator[Scene]:
    options = {
        "credentials": Credentials(
            connection_string=hub.create_device(device_id), ca=hub.ca_file.read_text()
        ),
        "directory": tmp_path / "device",
    }
    with package_server(PACKAGE) as server:
        yield Scene(server, owner, devices, device_id, options)


def running_image(tmp_path: Path) -> bytes:
    return max(tmp_path.glob("device/*.image"), key=lambda path: path.stat().st_size).read_bytes()


def test_a_package_is_downloaded_installed_and_confirmed_with_three_patches(
    scene: Scene, tmp_path: Path
) -> None:
    scene.start()
    before = scene.reported()["$version"]

    assert scene.invoke() == (200, STARTED)

    reported = scene.wait_for("completed")
    assert reported["firmwareVersion"] == "2.4.0"
    assert reported["$version"] - before == 3
    assert running_image(tmp_path) == PACKAGE
    assert scene.server.sent == len(PACKAGE)


def test_the_tutorials_payload_is_installed_as_well(scene: Scene) -> None:
    scene.start()
    assert scene.owner.invoke(scene.device_id, {"fwPackageUri": scene.server.url}) == (200, STARTED)
    reported = scene.wait_for("completed")
    assert reported["firmwareVersion"] == f"sha256-{scene.server.sha256[:12]}"


def test_progress_is_reported_in_steps_if_configured(scene: Scene) -> None:
    scene.start(progress_step_percent=10)
    before = scene.reported()["$version"]
    scene.invoke()
    reported = scene.wait_for("completed")
    assert 3 < reported["$version"] - before <= 3 + 4
    assert reported["firmwareUpdate"]["progressPercent"] == 100


@pytest.mark.parametrize(
    "fault",
    [
        "slow=3000000",
        "cut=3",
        "crash=downloading",
        "crash=installing",
        "crash=switching",
        "crash=confirmed",
    ],
)
def test_temporary_faults_do_not_end_an_update(fault: str, scene: Scene) -> None:
    scene.start(fault)
    # A device that crashes before it responds is invoked again.
    eventually(scene.is_accepted, what="a response")
    assert scene.wait_for("completed")["firmwareVersion"] == "2.4.0"
    offsets = scene.server.offsets
    assert offsets == sorted(set(offsets)), "something was downloaded again"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("corrupt", "hashMismatch"), ("disk-full=300000", "noSpace"), ("unhealthy", "reverted")],
)
def test_permanent_faults_are_reported_with_their_code(fault: str, code: str, scene: Scene) -> None:
    scene.start(fault)
    scene.invoke()
    reported = scene.wait_for("failed")
    assert reported["firmwareUpdate"]["errorCode"] == code
    assert reported["firmwareVersion"] == "1.0.0"


@pytest.mark.parametrize(("fault", "code"), [("low-battery=12", "lowBattery"), ("busy=60", "busy")])
def test_a_device_that_cannot_update_now_defers(fault: str, code: str, scene: Scene) -> None:
    scene.start(fault)
    status, response = scene.invoke()
    assert (status, response["deferred"]) == (409, code)
    assert response["Response"].startswith("Deferred: ")
    assert scene.reported()["firmwareStatus"] == "standBy"


def test_an_expired_url_is_reported_and_a_new_one_resumes(scene: Scene) -> None:
    scene.server.status = 403
    scene.start()
    expired = scene.server.url + "&se=2020-01-01T00%3A00%3A00Z"
    scene.invoke(fwPackageUri=expired)
    reported = scene.wait_for("failed")
    assert reported["firmwareUpdate"]["errorCode"] == "packageUriExpired"

    scene.server.status = 200
    assert scene.invoke(attempt=2) == (200, STARTED)
    assert scene.wait_for("completed")["firmwareUpdate"]["attempt"] == 2


def test_a_device_that_requires_signatures_accepts_only_signed_firmware(scene: Scene) -> None:
    key, stranger = generate_key(), generate_key()
    trust = TrustStore.from_json(build_key_set(key))
    scene.start(policy=Policy(model=MODEL, trust=trust, signed_only=True))

    status, response = scene.invoke()
    assert (status, response["errorCode"]) == (400, "unsigned")
    manifest = sign_manifest(make_manifest(scene.server), stranger)
    status, response = scene.invoke(manifest=manifest)
    assert (status, response["errorCode"]) == (400, "keyUnknown")

    manifest = sign_manifest(make_manifest(scene.server), key)
    assert scene.invoke(manifest=manifest) == (200, STARTED)
    scene.wait_for("completed")

    older = sign_manifest(make_manifest(scene.server, sequence=6), key)
    status, response = scene.invoke(manifest=older, attempt=2)
    assert (status, response["errorCode"]) == (400, "downgrade")


def test_a_device_of_another_model_refuses_the_release(scene: Scene) -> None:
    key = generate_key()
    trust = TrustStore.from_json(build_key_set(key))
    scene.start("wrong-model", policy=Policy(model=MODEL, trust=trust))
    status, response = scene.invoke(manifest=sign_manifest(make_manifest(scene.server), key))
    assert (status, response["errorCode"]) == (400, "wrongModel")


def test_a_device_stopped_during_a_download_continues_it(scene: Scene, tmp_path: Path) -> None:
    scene.start("slow=500000")
    scene.invoke()
    disk = FolderStorage(tmp_path / "device")
    eventually(lambda: disk.size("package") > 200_000, what="some of it")
    scene.devices.stop(scene.device_id)

    scene.start()
    assert scene.wait_for("completed")["firmwareVersion"] == "2.4.0"
    assert scene.server.offsets[1] > 200_000


def test_a_method_sent_during_a_restart_gets_its_response_afterwards(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle_methods = HubConnection.handle_methods

    async def late(connection: HubConnection, on_method: OnMethod) -> None:
        await asyncio.sleep(0.5)
        await handle_methods(connection, on_method)

    scene.start()
    monkeypatch.setattr(HubConnection, "handle_methods", late)
    scene.invoke()
    scene.wait_for("applying")
    responses = {scene.status(attempt=2) for _ in range(20)}
    assert responses <= {200, 409, None}, "None: the device disconnected during the call"
    if 200 in responses:  # then the old run accepted it
        eventually(lambda: scene.reported()["firmwareUpdate"]["attempt"] == 2, what="2")
    eventually(lambda: scene.status(attempt=3) == 200, what="idle")
    eventually(lambda: scene.reported()["firmwareUpdate"]["attempt"] == 3, what="3")
    assert scene.wait_for("completed")["firmwareVersion"] == "2.4.0"


def test_a_health_check_that_hangs_ends_the_trial(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()

    def find_problem(_health: SimulatedHealth) -> None:
        hangs.wait(5)

    monkeypatch.setattr(SimulatedHealth, "find_problem", find_problem)
    monkeypatch.setattr(installing, "_MAX_STOP_SECONDS", 0.1)
    scene.start(trial_seconds=1)
    scene.invoke()
    reported = scene.wait_for("failed")
    hangs.set()
    assert reported["firmwareUpdate"]["errorCode"] == "reverted"
    assert "within 1 s" in reported["firmwareUpdate"]["errorMessage"]
    assert reported["firmwareVersion"] == "1.0.0"


def test_the_log_of_an_update_holds_no_secret(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("simulator", "device_agent"):
        caplog.set_level(logging.DEBUG, logger=name)
    scene.start("cut=1")
    scene.invoke()
    scene.wait_for("completed")
    assert f"{scene.device_id} completed 2.4.0" in caplog.text
    assert SECRET not in caplog.text
    assert "SharedAccessKey" not in caplog.text
