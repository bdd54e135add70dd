"""Test the agent's responses, its reports and its journal."""

import json
from typing import Any

import pytest

from device_agent.ports import Deferral
from tests.device_agent.bench_device import NEW, OLD, Bench

STARTED = {"Response": "Firmware update started"}


def update(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench.twin["firmwareUpdate"]
    return found


def test_an_update_is_reported_in_three_patches() -> None:
    bench = Bench()
    bench.run()
    bench.reports.clear()
    (response,) = bench.run(bench.payload)
    assert (response.status, response.payload) == (200, STARTED)
    assert [report.status for report in bench.reports] == ["downloading", "applying", "completed"]
    assert bench.twin["firmwareVersion"] == NEW
    assert update(bench)["progressPercent"] == 100


def test_a_restart_without_an_update_reports_nothing() -> None:
    bench = Bench()
    bench.run(bench.payload)
    bench.reports.clear()
    bench.run_once()
    assert bench.reports == []


def test_progress_is_reported_in_the_configured_steps() -> None:
    bench = Bench(progress_step_percent=20)
    bench.run(bench.payload)
    percents = [report.patch["firmwareUpdate"]["progressPercent"] for report in bench.reports[1:]]
    assert percents == [0, 20, 40, 50, 100]


def test_the_same_attempt_never_starts_twice() -> None:
    bench = Bench()
    bench.run(bench.payload)
    sent = bench.server.sent
    for _ in range(2):
        (response,) = bench.run(bench.payload)
        assert response.payload == STARTED
    assert bench.server.sent == sent
    assert bench.restarts == 1


def test_a_second_update_gets_409_while_one_is_under_way() -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200
    assert agent.invoke("firmwareUpdate", bench.payload | {"attempt": 2}).status == 409
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200
    assert agent.invoke("reboot", {}).status == 501


@pytest.mark.parametrize(
    "wrong",
    [
        {"fwPackageUri": " "},
        {"fwPackageUri": "http://[x"},
        {"fwPackageUri": "?sig=secret"},
        {"sha256": "abc"},
        {"sha256": 5},
        {"sizeBytes": 0},
        {"sizeBytes": True},
        {"manifest": ["x"]},
        {"attempt": "one"},
        {"version": "9" * 513},
        {"rolloutId": "r" * 513},
        {"attempt": 2**60},
    ],
)
def test_an_invalid_payload_is_refused_and_nothing_starts(wrong: Any) -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload | wrong).status == 400
    assert not agent.has_work
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200


def test_a_deferred_update_may_come_again_with_the_same_attempt() -> None:
    bench = Bench(deferral=Deferral(code="lowBattery", message="the battery is at 9 %"))
    (response,) = bench.run(bench.payload)
    assert (response.status, response.payload["deferred"]) == (409, "lowBattery")
    bench.deferral = None
    bench.run(bench.payload)
    assert bench.twin["firmwareVersion"] == NEW


def test_an_update_may_begin_before_the_end_of_the_last_one_is_reported() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    agent = bench.agent()
    agent.work(lambda _: None)
    report = agent.next_report()
    assert report is not None
    assert report.status == "completed"
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r2"}).status == 200
    assert not agent.has_work  # the end of the last one is reported first
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r3"}).status == 409
    agent.acknowledge(report)
    report = agent.next_report()
    assert report is not None
    assert report.status == "downloading"
    assert report.update is not None
    assert report.update.rollout_id == "r2"


def test_any_error_before_the_switch_fails_the_update_but_not_the_device() -> None:
    class Broken(Bench):
        def find_deferral(self) -> Deferral | None:
            if self.server.sent:
                raise ZeroDivisionError
            return None

    bench = Broken()
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "internalError"
    assert bench.twin["firmwareVersion"] == OLD


def test_a_busy_device_delays_its_restart() -> None:
    class Busy(Bench):
        def find_deferral(self) -> Deferral | None:
            at_work = self.server.sent > 0 and self.clock.seconds < 600
            return Deferral(code="busy", message="at work") if at_work else None

    bench = Busy()
    bench.run(bench.payload)
    assert bench.twin["firmwareVersion"] == NEW
    assert bench.clock.seconds >= 600


def test_firmware_that_reports_another_version_is_reverted() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    image = json.loads(bench.disk.seen["b.json"])
    bench.disk.replace("b.json", json.dumps(image | {"version": "2.3.9"}).encode())
    bench.run()
    assert update(bench)["errorCode"] == "reverted"
    assert "2.3.9" in update(bench)["errorMessage"]
    assert bench.twin["firmwareVersion"] == OLD


def test_a_health_check_that_raises_has_not_passed() -> None:
    class Broken(Bench):
        def find_problem(self) -> str | None:
            raise ZeroDivisionError

    bench = Broken()
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "reverted"
    assert "ZeroDivisionError" in update(bench)["errorMessage"]
    assert bench.twin["firmwareVersion"] == OLD
