"""Signed packages in Blob Storage, and devices that install them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from device_agent.admission import Policy
from device_agent.credentials import Credentials
from device_agent.disk import FolderStorage
from simulator.cloud.local_cloud import LocalCloud
from simulator.cloud.package_storage import PackageStorage
from simulator.cloud.sample_release import MODEL, SampleRelease, make_release
from simulator.simulated_device.faults import parse_faults
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.waiting import eventually

IN_TIME = timedelta(minutes=10)
OVER = timedelta(minutes=-1)


@dataclass
class Publisher:
    """A release, its storage, and devices that trust its key."""

    release: SampleRelease
    packages: PackageStorage
    fleet: Fleet
    directory: Path

    def url(self, valid_for: timedelta = IN_TIME) -> str:
        return self.packages.signed_url(self.release.name, valid_for)

    def firmware(self, url: str, **more: Any) -> dict[str, Any]:
        found = {"version": self.release.version, "packageUri": url}
        return found | {"manifest": self.release.manifest} | more

    def body(self, url: str, device_id: str, **more: Any) -> dict[str, Any]:
        return {"firmware": self.firmware(url, **more), "target": {"deviceIds": [device_id]}}

    def start(self, device_id: str, *wanted: str) -> InstallingDevice:
        known = self.fleet.connection_strings
        device = InstallingDevice(
            InstallingOptions(
                credentials=Credentials(
                    connection_string=known.get(device_id) or self.fleet.register(device_id),
                    ca=self.fleet.options.ca.read_text(),
                ),
                directory=self.directory / device_id,
                policy=Policy(model=MODEL, trust=self.release.trust, signed_only=True),
                faults=parse_faults(wanted),
            )
        )
        self.fleet.thread.start(device)
        assert device.standing_by.wait(20)
        return device


@pytest.fixture
def publisher(shared_cloud: LocalCloud, fleet: Fleet, tmp_path: Path) -> Publisher:
    release = make_release("2.4.0")
    packages = PackageStorage(shared_cloud.options.azurite.connection_string)
    packages.upload(release.name, release.package)
    return Publisher(release, packages, fleet, tmp_path)


def read_signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["sig"][0]


def read_all_texts(api: Api, rollout_id: str, device_id: str) -> str:
    """Return all responses of the API about a rollout, and the log of every process."""
    path = f"/rollouts/{rollout_id}"
    routes = [path, f"{path}/devices", f"{path}/devices/{device_id}", f"{path}/events"]
    routes += ["/rollouts", f"/devices/{device_id}/rollouts"]
    responses = [api.call("GET", route).text for route in routes]
    logs = [log.read_text(errors="replace") for log in api.options.logs.glob("*.log")]
    assert logs
    return "\n".join([*responses, *logs])


def test_a_signed_package_is_installed_and_its_url_stays_secret(
    api: Api, publisher: Publisher
) -> None:
    publisher.start("signed-1")
    url = publisher.url()
    response = api.call("POST", "/rollouts", publisher.body(url, "signed-1"))
    assert response.status == 201, response
    ended = api.wait_for_end(response.json)

    assert ended["status"] == "completed"
    assert ended["firmware"]["sha256"] == publisher.release.sha256, "filled in from the manifest"
    assert ended["firmware"]["packageUri"].endswith("/firmware/fw-2.4.0.bin?***")
    told = response.text + read_all_texts(api, ended["id"], "signed-1")
    assert "sig=" not in told
    assert read_signature(url) not in told
    image = FolderStorage(publisher.directory / "signed-1").read("b.image")
    assert image == publisher.release.package


def test_an_expired_url_is_refused_before_a_device_is_invoked(
    api: Api, publisher: Publisher
) -> None:
    publisher.fleet.register("expired-0")
    url = publisher.url(OVER)
    response = api.call("POST", "/rollouts", publisher.body(url, "expired-0"))
    assert response.status == 422
    assert {error["pointer"] for error in response.json["errors"]} == {"/firmware/packageUri"}
    assert read_signature(url) not in response.text


def test_a_device_whose_url_is_refused_fails_and_is_retried_with_a_new_url(
    api: Api, publisher: Publisher
) -> None:
    """The package server refuses the URL, although its time of expiry is still to come."""
    publisher.start("expired-1")
    over, valid = publisher.url(OVER), publisher.url()
    signatures = [quote(read_signature(url)) for url in (valid, over)]
    refused = valid.replace(signatures[0], signatures[1])
    assert refused != valid
    rollout = api.post("/rollouts", publisher.body(refused, "expired-1"), 201)
    path = f"/rollouts/{rollout['id']}"
    eventually(lambda: api.get(path)["status"] in ("paused", "failed"))
    error = api.device(rollout["id"], "expired-1")["error"]
    assert error["code"] == "reported"
    assert "downloadRefused" in error["message"]

    fresh = publisher.url()
    api.post(f"{path}/retry", {"packageUri": fresh, "by": "operator"})
    if api.get(path)["status"] == "paused":
        api.post(f"{path}/resume")
    assert api.wait_for_end(rollout)["status"] == "completed"
    assert read_signature(fresh) not in read_all_texts(api, rollout["id"], "expired-1")


def test_a_manifest_of_another_release_is_refused_before_a_device_is_invoked(
    api: Api, publisher: Publisher
) -> None:
    publisher.fleet.register("unexpected-1")
    body = publisher.body(publisher.url(), "unexpected-1", version="2.5.0")
    response = api.call("POST", "/rollouts", body)
    assert response.status == 422
    assert {error["pointer"] for error in response.json["errors"]} == {"/firmware/version"}
    assert "sig=" not in response.text


def test_a_device_with_low_battery_is_updated_after_it_is_charged(
    api: Api, publisher: Publisher
) -> None:
    publisher.start("battery-1", "low-battery=12")
    rollout = api.post("/rollouts", publisher.body(publisher.url(), "battery-1"), 201)
    update = api.device(rollout["id"], "battery-1")
    assert update["state"] == "queued"
    assert "the battery is at 12 %" in update["explanation"]

    publisher.fleet.stop("battery-1")
    publisher.start("battery-1")
    assert api.wait_for_end(rollout, seconds=120)["status"] == "completed"


def test_firmware_that_fails_its_health_check_is_reverted_and_reported(
    api: Api, publisher: Publisher
) -> None:
    publisher.start("unhealthy-1", "unhealthy")
    rollout = api.post("/rollouts", publisher.body(publisher.url(), "unhealthy-1"), 201)
    path = f"/rollouts/{rollout['id']}"
    eventually(lambda: api.get(path)["status"] in ("paused", "failed"))
    error = api.device(rollout["id"], "unhealthy-1")["error"]
    assert error["code"] == "reverted"
    assert "its sensor does not respond" in error["message"]
