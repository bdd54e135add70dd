"""`/_local` over HTTPS, with Microsoft's SDKs on both sides of the hub."""

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot.device import Message, MethodRequest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin
from msrest.exceptions import ClientRequestError, HttpOperationError

from simulator.hub import HubOptions, LocalHub
from simulator.hub.model.quotas import Tier
from tests.simulator.hub.conftest import Connect
from tests.simulator.hub.local_api import LocalApi
from tests.simulator.hub.test_with_sdks import error_code, respond_to_methods
from tests.waiting import eventually


@pytest.fixture
def local(hub: LocalHub, options: HubOptions) -> Iterator[LocalApi]:
    api = LocalApi(hub, options.address)
    yield api
    api.close()


class TestMetrics:
    def test_every_operation_is_counted(
        self, hub: LocalHub, local: LocalApi, connect: Connect, service: IoTHubRegistryManager
    ) -> None:
        device = connect(hub.create_device("one"))
        respond_to_methods(device)
        device.patch_twin_reported_properties({"a": 1})
        device.get_twin()
        device.send_message("hello")
        service.get_twin("one")
        service.update_twin("one", Twin(tags={"a": "b"}), None)
        service.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"))
        service.get_device("one")
        service.invoke_device_method("one", CloudToDeviceMethod(method_name="x", payload={}))

        metrics = local.get("metrics")
        assert {kind: count for kind, count in metrics["operations"].items() if count} == {
            "connect": 1,
            "deviceTwinRead": 1,
            "deviceTwinUpdate": 1,
            "telemetry": 1,
            "twinRead": 1,
            "twinUpdate": 1,
            "query": 1,
            "registry": 1,
            "method": 1,
        }
        assert (metrics["queryRows"], metrics["connectedDevices"]) == (1, 1)
        # Two for the method: its request and its response.
        assert metrics["messages"] == metrics["messagesToday"] == 8
        assert metrics["quota"] is metrics["messagesPerDay"] is None

    @pytest.mark.parametrize(
        ("path", "headers"),
        [("metrics?format=prometheus", {}), ("metrics", {"Accept": "text/plain;version=0.0.4"})],
    )
    def test_metrics_are_prometheus_text(
        self, local: LocalApi, path: str, headers: dict[str, str]
    ) -> None:
        response = local.request("GET", path, headers=headers)
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = response.text.splitlines()
        assert 'hub_operations_total{operation="method"} 0' in lines
        assert "hub_connected_devices 0" in lines
        assert len([line for line in lines if line.startswith("# TYPE")]) == len(set(lines)) - len(
            [line for line in lines if not line.startswith("#")]
        )

    def test_local_routes_need_no_token_and_other_routes_do(self, local: LocalApi) -> None:
        assert local.request("GET", "metrics").status_code == 200
        assert local.request("GET", "../devices").status_code == 401
        assert local.request("GET", "nothing").status_code == 404
        assert local.request("POST", "metrics").status_code == 404


class TestThrottled:
    @pytest.fixture
    def options(self, options: HubOptions) -> HubOptions:
        """Return a quota of twenty queries a minute, in six seconds."""
        return HubOptions(
            certificates=options.certificates,
            address=options.address,
            https_port=0,
            tier=Tier.S1,
            throttle_scale=10,
        )

    def test_calls_are_delayed_before_they_are_refused(
        self, local: LocalApi, service: IoTHubRegistryManager
    ) -> None:
        def query() -> None:
            service.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"))

        # A burst of 20 and 3.3 a second: even callers that take one second in all are too fast.
        for _ in range(25):
            query()
        assert local.get("metrics")["delayed"]["query"] >= 1
        refusals: list[tuple[int, str]] = []

        def flood() -> None:
            try:
                query()
            except HttpOperationError as error:
                refusals.append(error_code(error))
            finally:
                service.protocol.close()  # each thread has a session of its own

        callers = [threading.Thread(target=flood) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert set(refusals) == {(429, "ThrottlingException")}
        metrics = local.get("metrics")
        assert metrics["throttled"]["query"] == len(refusals)
        assert metrics["delayed"]["query"] >= 2
        assert metrics["quota"] == {"tier": "S1", "units": 1, "scale": 10}
        assert metrics["messagesPerDay"] == 400_000


class TestEvents:
    def test_telemetry_can_be_read_and_waited_for(
        self, hub: LocalHub, local: LocalApi, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        device.connect()
        page = local.get("events")
        assert [event["type"] for event in page["value"]] == ["connected"]

        responses: list[Any] = []
        waiting = threading.Thread(
            target=lambda: responses.append(
                local.get(f"events?cursor={page['cursor']}&waitSeconds=10")
            )
        )
        waiting.start()
        message = Message(  # type: ignore[no-untyped-call]
            '{"temperature": 21}', message_id="m-1", content_type="application/json"
        )
        message.custom_properties["alert"] = "a b"
        device.send_message(message)
        waiting.join()
        [event] = responses[0]["value"]
        assert event["body"] == {"temperature": 21}
        assert event["properties"] == {"alert": "a b"}
        assert event["systemProperties"]["messageId"] == "m-1"
        assert event["systemProperties"]["contentType"] == "application/json"
        assert responses[0]["dropped"] == 0

    def test_a_wait_without_events_ends(self, local: LocalApi) -> None:
        page = local.get("events?cursor=latest&waitSeconds=1")
        assert page == {"value": [], "cursor": "0", "dropped": 0}

    @pytest.mark.parametrize("query", ["cursor=x", "limit=1001", "waitSeconds=61", "limit=-1"])
    def test_parameters_out_of_range_are_refused(self, local: LocalApi, query: str) -> None:
        assert local.request("GET", f"events?{query}").status_code == 400


class TestMessages:
    def test_a_message_reaches_the_sdk_with_its_properties(
        self, hub: LocalHub, local: LocalApi, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        assert local.send("one", body={"a": 1}, systemProperties={"messageId": "early"}) == 201
        received: list[Message] = []
        device.on_message_received = received.append
        assert local.send("one", body="later", properties={"k": "v w"}) == 201
        eventually(lambda: len(received) == 2)
        assert [message.data for message in received] == [b'{"a":1}', b"later"]
        assert received[0].message_id == "early"
        assert received[1].custom_properties == {"k": "v w"}
        # The SDK has acknowledged them: nothing is sent again.
        device.disconnect()
        device.connect()
        device.get_twin()
        assert len(received) == 2

    def test_refusals(self, hub: LocalHub, local: LocalApi) -> None:
        hub.create_device("one")
        assert local.send("unknown") == 404
        assert local.send("one", properties=1) == 400
        assert [local.send("one") for _ in range(51)] == [201] * 50 + [403]


class TestFaults:
    def test_an_sdk_reconnects_after_a_drop(
        self, hub: LocalHub, local: LocalApi, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        device.connect()
        local.break_with({"action": "drop", "devices": ["one"]})
        eventually(lambda: local.get("metrics")["operations"]["connect"] == 2)
        assert local.get("faults")["faults"][0]["struck"] == 1
        assert local.request("DELETE", "faults").status_code == 204
        assert local.get("faults") == {"seed": 0, "faults": []}

    def test_a_lost_response_is_a_timeout_although_the_method_ran(
        self, hub: LocalHub, local: LocalApi, connect: Connect, service: IoTHubRegistryManager
    ) -> None:
        device = connect(hub.create_device("one"))
        ran = threading.Event()
        respond_to_methods(device)
        respond = device.on_method_request_received

        def run(request: MethodRequest) -> None:
            respond(request)
            ran.set()

        device.on_method_request_received = run
        local.break_with({"action": "loseAnswer"})
        call = CloudToDeviceMethod(method_name="x", payload={}, response_timeout_in_seconds=5)
        with pytest.raises(HttpOperationError) as error:
            service.invoke_device_method("one", call)
        assert error_code(error.value)[0] == 504
        assert ran.is_set()

    def test_service_calls_fail_with_and_without_retry_after(
        self, hub: LocalHub, local: LocalApi, service: IoTHubRegistryManager
    ) -> None:
        hub.create_device("one")
        busy = {"action": "error", "operations": ["twinUpdate"], "status": 429, "count": 1}
        local.break_with(busy | {"retryAfterSeconds": 3}, busy)
        seen = []
        for _ in range(2):
            with pytest.raises(HttpOperationError) as error:
                service.update_twin("one", Twin(tags={"a": "b"}), None)
            seen.append(error.value.response.headers.get("Retry-After"))
        assert seen == ["3", None]
        service.update_twin("one", Twin(tags={"a": "b"}), None)

    def test_a_503_is_retried_by_the_sdk(
        self, hub: LocalHub, local: LocalApi, service: IoTHubRegistryManager
    ) -> None:
        hub.create_device("one")
        local.break_with({"action": "error", "operations": ["twinRead"], "count": 1})
        try:
            assert service.get_twin("one").device_id == "one"
        except ClientRequestError:  # pragma: no cover
            pytest.fail("not retried")
        assert local.get("metrics")["faulted"]["twinRead"] == 1

    def test_a_black_hole_sends_no_response_until_it_ends(
        self, hub: LocalHub, local: LocalApi, connect: Connect, service: IoTHubRegistryManager
    ) -> None:
        device = connect(hub.create_device("one"))
        device.connect()
        local.break_with({"action": "blackHole", "devices": ["one"]})
        reported = threading.Thread(
            target=lambda: device.patch_twin_reported_properties({"late": True})
        )
        reported.start()
        reported.join(0.2)
        assert reported.is_alive()
        assert service.get_twin("one").properties.reported.get("late") is None
        local.break_with()
        reported.join(10)
        assert service.get_twin("one").properties.reported["late"] is True


def test_a_client_without_tls_leaves_no_connection(
    hub: LocalHub, options: HubOptions, local: LocalApi
) -> None:
    context = ssl.create_default_context(cafile=hub.ca_file)
    for _ in range(5):
        with (
            socket.create_connection((options.address, hub.https_port)) as raw,
            context.wrap_socket(raw, server_hostname=options.address) as line,
        ):
            line.sendall(b"GET /_local/metrics HTTP/1.1\r\nX: " + b"y" * 20_000)
            assert line.recv(20) != b""
    assert local.request("GET", "metrics").status_code == 200


def test_one_connection_too_many_is_closed(certificates_options: HubOptions) -> None:
    with LocalHub(certificates_options) as hub:
        context = ssl.create_default_context(cafile=hub.ca_file)
        lines = []
        for _ in range(3):
            raw = socket.create_connection((certificates_options.address, hub.mqtt_port), 10)
            lines.append(context.wrap_socket(raw, server_hostname=certificates_options.address))
        with pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):
            assert lines[2].recv(1) != b""
        lines[0].settimeout(0.05)
        with pytest.raises(TimeoutError):
            lines[0].recv(1)
        for line in lines:
            line.close()


@pytest.fixture
def certificates_options(options: HubOptions) -> HubOptions:
    return HubOptions(
        certificates=options.certificates,
        address=options.address,
        https_port=0,
        mqtt_port=0,
        max_connections=2,
    )
