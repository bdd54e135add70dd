"""The host's processes export what they do: OTLP from the worker to a collector."""

from pathlib import Path

import pytest

from functions.settings.names import OTLP_ENDPOINT
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.registration import Registration
from simulator.simulated_device.device_thread import DeviceThread
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.fleet import Fleet
from tests.functions.telemetry.collector import run_collector

DEVICES = [f"thermostat-{number}" for number in range(1, 31)]


def test_thirty_devices_are_one_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_options(tmp_path)
    with run_collector() as collector:
        monkeypatch.setenv(OTLP_ENDPOINT, collector.endpoint)
        with run_cloud(options) as cloud, DeviceThread() as thread:
            fleet = Fleet(options, thread, Registration(options))
            for device_id in DEVICES:
                fleet.start(device_id)
            api = Api(options)
            ended = api.wait_for_end(api.create(*DEVICES))
            assert ended["counts"]["completed"] == 30
            cloud.host.stop()  # the end of the worker exports what waits
        assert len({span.trace_id for span in collector.spans}) == 1
        updates = collector.named("device update")
        assert sorted(span.attributes["device.id"] for span in updates) == sorted(DEVICES)
        triggers = {span.attributes.get("faas.trigger") for span in collector.spans}
        assert {"http", "timer", "pubsub"} <= triggers
        completed = collector.value("rollout.devices", rollout_device_state="completed")
        assert completed == ended["counts"]["completed"]
        exported = b"".join(collector.bodies)
        assert b"SharedAccessKey" not in exported
        assert b"AccountKey" not in exported
        for text in (options.service_connection_string, options.azurite.connection_string):
            key = text.split("Key=", 1)[1].split(";")[0]
            assert key.encode() not in exported
