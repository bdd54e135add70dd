"""Test a simulated device and its MQTT session without sockets."""

import json
from typing import Any

import pytest

from device_agent.update import FirmwareStatus
from simulator.hub.mqtt.packets import PingReq, PingResp, Publish, SubAck, Subscribe
from simulator.simulated_fleet.device import SimulatedDevice, make_update_settings
from simulator.simulated_fleet.mqtt_session import (
    KEEP_ALIVE_SECONDS,
    RESPONSE_SECONDS,
    ConnectionFailedError,
    MqttSession,
)
from simulator.simulated_fleet.shares import OTHER_VERSION, Fault

START = 1_800_000_000.0
STAGE_SECONDS = 10.0
UPDATE = {"fwPackageUri": "https://x.example/fw", "rolloutId": "r", "attempt": 1, "version": "2.0"}


class Bench:
    """A device on a connection, whose hub the test plays."""

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        self.now = START
        self.device = SimulatedDevice(
            "simulated-1", fault, make_update_settings(fault, STAGE_SECONDS), 60
        )
        self.said: list[object] = []
        self.connect()

    def connect(self) -> None:
        self.session = MqttSession(self.device)
        self.said += self.session.open(self.now)

    def stand_by(self, reported: dict[str, Any] | None = None) -> None:
        self.respond(200, {"desired": {}, "reported": reported or {}})
        self.respond(204)

    def respond(self, status: int, body: object = None) -> None:
        """Respond to the latest twin request."""
        request = self.last("$iothub/twin/").topic.partition("$rid=")[2]
        payload = b"" if body is None else json.dumps(body).encode()
        self.hear(Publish(f"$iothub/twin/res/{status}/?$rid={request}", payload))

    def call(self, payload: object = UPDATE) -> int:
        topic = "$iothub/methods/POST/firmwareUpdate/?$rid=m"
        self.hear(Publish(topic, json.dumps(payload).encode()))
        return int(self.last("$iothub/methods/res/").topic.split("/")[3])

    def hear(self, packet: object) -> None:
        self.said += self.session.receive(packet, self.now)
        self.tick()

    def tick(self, seconds: float = 0) -> None:
        self.now += seconds
        self.device.advance(self.now)
        self.said += self.session.tick(self.now)

    def last(self, topic: str) -> Publish:
        found = [p for p in self.said if isinstance(p, Publish) and p.topic.startswith(topic)]
        return found[-1]

    @property
    def reports(self) -> list[dict[str, Any]]:
        topic = "$iothub/twin/PATCH"
        found = [p for p in self.said if isinstance(p, Publish) and p.topic.startswith(topic)]
        return [json.loads(packet.payload) for packet in found]

    @property
    def statuses(self) -> list[str]:
        return [report["firmwareStatus"] for report in self.reports]


def test_a_method_gets_its_response_at_once_and_each_stage_is_reported() -> None:
    bench = Bench()
    bench.stand_by()

    assert bench.call() == 200
    for _ in range(3):
        bench.respond(204)
        bench.tick(STAGE_SECONDS)

    assert bench.statuses == ["standBy", "downloading", "applying", "completed"]
    assert bench.reports[-1]["firmwareVersion"] == "2.0"


def test_the_twin_is_read_before_methods_are_accepted() -> None:
    bench = Bench()
    subscribed = [p.filters for p in bench.said if isinstance(p, Subscribe)]

    assert subscribed == [(("$iothub/twin/res/#", 0),)]

    with pytest.raises(IndexError):
        bench.call()
    bench.stand_by({"firmwareUpdate": {"rolloutId": "r", "attempt": 1}, "firmwareVersion": "2.0"})

    # The early call repeats the twin's update: it gets a response and starts nothing.
    assert bench.last("$iothub/methods/res/200")
    assert bench.statuses == ["standBy"]


def test_a_report_without_a_response_is_sent_again_and_a_late_response_is_ignored() -> None:
    bench = Bench()
    bench.respond(200, {"reported": {}})
    first = bench.last("$iothub/twin/PATCH")
    bench.tick(RESPONSE_SECONDS)
    second = bench.last("$iothub/twin/PATCH")

    assert second.topic != first.topic
    assert second.payload == first.payload
    bench.hear(Publish("$iothub/twin/res/204/?$rid=" + first.topic.partition("=")[2], b""))
    assert bench.device.unacknowledged
    bench.respond(204)
    assert bench.device.unacknowledged is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_report_waits_and_is_sent_again(status: int) -> None:
    bench = Bench()
    bench.respond(200, {"reported": {}})
    bench.respond(status)

    assert bench.statuses == ["standBy"]
    bench.tick(RESPONSE_SECONDS)
    assert bench.statuses == ["standBy", "standBy"]


def test_a_report_lost_with_its_connection_is_sent_again() -> None:
    bench = Bench()
    bench.stand_by()
    bench.call()
    bench.connect()

    assert bench.statuses == ["standBy", "downloading", "downloading"]


def test_a_failing_device_fails_and_a_hanging_one_reports_nothing_more() -> None:
    failing, hanging = Bench(Fault.FAILING), Bench(Fault.HANGING)
    for bench in (failing, hanging):
        bench.stand_by()
        bench.call()
        for _ in range(3):
            bench.respond(204)
            bench.tick(STAGE_SECONDS)

    assert failing.statuses == ["standBy", "downloading", "applying", "failed"]
    assert hanging.statuses == ["standBy", "downloading"]
    assert hanging.call({**UPDATE, "attempt": 2}) == 409


def test_a_reverting_device_runs_its_old_version_a_stage_later() -> None:
    bench = Bench(Fault.REVERTING)
    bench.stand_by({"firmwareVersion": "1.5"})
    bench.call()
    for _ in range(4):
        bench.respond(204)
        bench.tick(STAGE_SECONDS)

    assert bench.statuses[-2:] == ["completed", "standBy"]
    assert [report["firmwareVersion"] for report in bench.reports[-2:]] == ["2.0", "1.5"]
    assert bench.device.reverted


def test_a_device_on_the_wrong_version_completes_and_reports_another_one() -> None:
    bench = Bench(Fault.WRONG_VERSION)
    bench.stand_by({"firmwareVersion": "1.5"})
    bench.call()
    for _ in range(4):
        bench.respond(204)
        bench.tick(STAGE_SECONDS)

    assert bench.statuses[-1] == "completed"
    assert bench.reports[-1]["firmwareVersion"] == OTHER_VERSION


def test_an_offline_device_disconnects_after_standby_and_reconnects() -> None:
    bench = Bench(Fault.OFFLINE)
    away = []
    bench.stand_by()
    for _ in range(3):
        away.append(bench.device.is_away)
        bench.tick(60)

    assert away == [True, False, True]


def test_an_idle_connection_is_pinged_and_ends_without_a_ping_response() -> None:
    bench = Bench()
    bench.stand_by()
    bench.tick(KEEP_ALIVE_SECONDS)
    assert bench.said[-1] == PingReq()
    bench.hear(PingResp())
    bench.tick(KEEP_ALIVE_SECONDS)

    with pytest.raises(ConnectionFailedError, match="ping"):
        bench.tick(RESPONSE_SECONDS)


def test_a_refused_subscription_ends_the_connection() -> None:
    with pytest.raises(ConnectionFailedError, match="subscription"):
        Bench().hear(SubAck(1, (0x80,)))


def test_an_idle_device_has_nothing_due_and_an_updating_one_has() -> None:
    bench = Bench()
    bench.stand_by()
    assert bench.device.due is None
    assert bench.device.status is FirmwareStatus.STAND_BY
    bench.call()
    bench.respond(204)

    assert bench.device.due == pytest.approx(bench.now + STAGE_SECONDS)
