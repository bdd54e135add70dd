"""The hub with Microsoft's SDKs."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from azure.iot.device.exceptions import CredentialError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

from simulator.hub import HubOptions, LocalHub
from tests.simulator.hub.conftest import Connect, service_client
from tests.waiting import eventually

CONNECTED = "Connected"


def error_code(error: HttpOperationError) -> tuple[int, str]:
    """Return the HTTP status and the code or name of an error of either form."""
    message = error.response.json()["Message"]
    found = re.search(r'"errorCode":(\d{6})|ErrorCode:(\w+);', message)
    assert found is not None, message
    return error.response.status_code, found[1] or found[2]


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(HttpOperationError) as caught:
        call()
    return error_code(caught.value)


def respond_to_methods(client: IoTHubDeviceClient, status: int = 200) -> None:
    """Respond to every method with the request."""

    def respond(request: MethodRequest) -> None:
        payload = {"name": request.name, "got": request.payload}
        client.send_method_response(MethodResponse(request.request_id, status, payload))

    client.on_method_request_received = respond


def is_connected(service: IoTHubRegistryManager, device_id: str) -> bool:
    return bool(service.get_twin(device_id).connection_state == CONNECTED)


class TestRegistry:
    def test_a_device_is_created_read_updated_and_deleted(
        self, service: IoTHubRegistryManager
    ) -> None:
        created = service.create_device_with_sas("one", "", "", "enabled")
        key = created.authentication.symmetric_key.primary_key
        assert service.get_device("one").authentication.symmetric_key.primary_key == key

        updated = service.update_device_with_sas(
            "one", created.etag, key, key, "disabled", status_reason="lost"
        )
        assert (updated.status, updated.status_reason) == ("disabled", "lost")
        assert updated.etag != created.etag

        service.delete_device("one", updated.etag)
        assert refused(lambda: service.get_device("one")) == (404, "DeviceNotFound")

    def test_creating_twice_is_a_conflict_and_a_stale_etag_is_refused(
        self, service: IoTHubRegistryManager
    ) -> None:
        device = service.create_device_with_sas("one", "", "", "enabled")
        key = device.authentication.symmetric_key.primary_key

        again = refused(lambda: service.create_device_with_sas("one", "", "", "enabled"))
        service.update_device_with_sas("one", None, key, key, "enabled")
        stale = refused(
            lambda: service.update_device_with_sas("one", device.etag, key, key, "enabled")
        )

        assert again == (409, "DeviceAlreadyExists")
        assert stale == (412, "PreconditionFailed")

    @pytest.mark.parametrize("device_id", ["a#b", "a?b", "a%2Fb", "a%b", "a+b=c", "x" * 128])
    def test_ids_with_odd_characters_stay_what_they_are(
        self, service: IoTHubRegistryManager, device_id: str
    ) -> None:
        assert service.create_device_with_sas(device_id, "", "", "enabled").device_id == device_id
        assert service.get_twin(device_id).device_id == device_id
        assert [device.device_id for device in service.get_devices()] == [device_id]
        service.delete_device(device_id)

    def test_every_kind_of_authentication_is_stored(self, service: IoTHubRegistryManager) -> None:
        service.create_device_with_x509("two", "A" * 40, "B" * 40, "enabled")
        service.create_device_with_certificate_authority("three", "enabled")
        two = service.get_device("two").authentication
        assert (two.type, two.x509_thumbprint.secondary_thumbprint) == ("selfSigned", "B" * 40)
        assert service.get_device("three").authentication.type == "certificateAuthority"

    def test_edge_capability_and_scopes_are_stored(self, service: IoTHubRegistryManager) -> None:
        service.create_device_with_sas(
            "one", "", "", "enabled", iot_edge=True, device_scope="scope", parent_scopes=["parent"]
        )
        device, twin = service.get_device("one"), service.get_twin("one")
        for shown in (device, twin):
            assert (shown.device_scope, shown.parent_scopes) == ("scope", ["parent"])
            assert shown.capabilities.iot_edge is True

    def test_devices_are_counted(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        connect(hub.create_device("one")).connect()
        service.create_device_with_sas("two", "", "", "disabled")
        counted = service.get_device_registry_statistics()
        assert (
            counted.total_device_count,
            counted.enabled_device_count,
            counted.disabled_device_count,
        ) == (2, 1, 1)
        assert service.get_service_statistics().connected_device_count == 1


class TestTwins:
    def test_desired_properties_reach_the_device_and_reported_ones_the_service(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        patches: list[dict[str, Any]] = []
        device.on_twin_desired_properties_patch_received = patches.append
        assert device.get_twin() == {"desired": {"$version": 1}, "reported": {"$version": 1}}

        desired = {"firmware": {"version": "2"}}
        service.update_twin("one", Twin(properties=TwinProperties(desired=desired)), None)
        eventually(lambda: patches)
        device.patch_twin_reported_properties({"firmware": {"version": "1"}, "gone": 1})
        device.patch_twin_reported_properties({"gone": None})

        assert patches == [{"firmware": {"version": "2"}, "$version": 2}]
        reported = service.get_twin("one").properties.reported
        assert reported["firmware"] == {"version": "1"}
        assert "gone" not in reported
        assert reported["$version"] == 3
        assert "$lastUpdated" in reported["$metadata"]["firmware"]["version"]

    def test_a_stale_etag_changes_nothing(
        self, hub: LocalHub, service: IoTHubRegistryManager
    ) -> None:
        hub.create_device("one")
        read = service.get_twin("one")
        service.update_twin("one", Twin(tags={"site": "a"}), read.etag)

        stale = refused(lambda: service.update_twin("one", Twin(tags={"site": "b"}), read.etag))

        assert stale == (412, "PreconditionFailed")
        assert service.get_twin("one").tags == {"site": "a"}

    def test_replacing_removes_what_is_not_in_the_new_twin(
        self, hub: LocalHub, service: IoTHubRegistryManager
    ) -> None:
        hub.create_device("one")
        before = Twin(tags={"old": 1}, properties=TwinProperties(desired={"old": 1}))
        after = Twin(tags={"new": 2}, properties=TwinProperties(desired={"new": 2}))
        service.update_twin("one", before, None)
        twin = service.replace_twin("one", after, None)
        assert twin.tags == {"new": 2}
        assert set(twin.properties.desired) == {"new", "$metadata", "$version"}

    def test_a_report_the_rules_forbid_is_refused_on_the_device(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        with pytest.raises(Exception, match="Unexpected failure"):
            device.patch_twin_reported_properties({"a.b": 1})
        assert service.get_twin("one").properties.reported["$version"] == 1


class TestMethods:
    def test_the_response_has_the_devices_own_status(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        respond_to_methods(connect(hub.create_device("one")), 501)
        call = CloudToDeviceMethod(method_name="firmwareUpdate", payload={"a": [1, None]})
        response = service.invoke_device_method("one", call)
        assert response.status == 501
        assert response.payload == {"name": "firmwareUpdate", "got": {"a": [1, None]}}

    def test_without_a_subscription_or_a_device_the_call_fails_at_once(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        connect(hub.create_device("deaf")).connect()
        hub.create_device("offline")
        call = CloudToDeviceMethod(method_name="x")
        codes = [
            refused(lambda i=name: service.invoke_device_method(i, call))  # type: ignore[misc]
            for name in ("deaf", "offline", "unknown")
        ]
        assert codes == [(404, "404103"), (404, "404103"), (404, "404001")]

    def test_a_device_that_connects_in_time_gets_the_call(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        device = connect(hub.create_device("late"))
        coming = threading.Timer(0.2, respond_to_methods, [device])
        coming.start()
        call = CloudToDeviceMethod(method_name="x", payload=1, connect_timeout_in_seconds=20)
        assert service.invoke_device_method("late", call).payload["got"] == 1
        coming.join()

    def test_a_device_that_does_not_respond_times_out(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        connect(hub.create_device("mute")).on_method_request_received = lambda _request: None
        call = CloudToDeviceMethod(method_name="x", response_timeout_in_seconds=5)
        assert refused(lambda: service.invoke_device_method("mute", call)) == (504, "504101")

    @pytest.mark.parametrize(
        "call",
        [
            CloudToDeviceMethod(method_name="x", response_timeout_in_seconds=4),
            CloudToDeviceMethod(method_name="x", connect_timeout_in_seconds=301),
            CloudToDeviceMethod(method_name="a/b"),
        ],
    )
    def test_a_call_outside_the_limits_is_refused(
        self, hub: LocalHub, service: IoTHubRegistryManager, call: CloudToDeviceMethod
    ) -> None:
        hub.create_device("one")
        assert refused(lambda: service.invoke_device_method("one", call)) == (400, "400004")

    def test_a_reconnected_device_is_called_without_subscribing_again(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        device = connect(hub.create_device("one"))
        respond_to_methods(device)
        device.disconnect()
        eventually(lambda: not is_connected(service, "one"))
        device.connect()
        call = CloudToDeviceMethod(method_name="x", payload=2)
        assert service.invoke_device_method("one", call).payload["got"] == 2

    def test_a_device_that_renews_its_token_stays_callable(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        """Renew 120 s before expiry, as the SDK does: it reconnects without a new subscription.

        It waits for up to 60 s for the response to a connect before its next attempt.
        """
        client = connect(hub.create_device("one"), sastoken_ttl=122)
        changes: list[bool] = []
        note: Any = lambda: changes.append(client.connected)  # noqa: E731  mistyped in the SDK
        client.on_connection_state_change = note
        respond_to_methods(client)
        eventually(lambda: len(changes) > 2 and changes[-1], what=changes, seconds=90)
        call = CloudToDeviceMethod(method_name="x", payload=3, connect_timeout_in_seconds=10)
        assert service.invoke_device_method("one", call).payload["got"] == 3


class TestQueries:
    def test_pages_follow_the_continuation(
        self, hub: LocalHub, service: IoTHubRegistryManager
    ) -> None:
        for number in range(5):
            hub.create_device(f"d{number}")
            service.update_twin(f"d{number}", Twin(tags={"odd": number % 2 == 1}), None)
        query = QuerySpecification(query="SELECT * FROM devices WHERE tags.odd = false")

        first = service.query_iot_hub(query, None, 2)
        second = service.query_iot_hub(query, first.continuation_token, 2)

        assert [twin.device_id for twin in first.items] == ["d0", "d2"]
        assert [twin.device_id for twin in second.items] == ["d4"]
        assert (first.type, second.continuation_token) == ("twin", None)

    def test_aggregates_by_group(self, hub: LocalHub, service: IoTHubRegistryManager) -> None:
        for number in range(3):
            hub.create_device(f"d{number}")
            service.update_twin(f"d{number}", Twin(tags={"site": f"s{number % 2}"}), None)
        query = "SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site"
        page = service.query_iot_hub(QuerySpecification(query=query))
        assert page.type == "raw"
        rows = [row.additional_properties for row in page.items]
        assert rows == [{"site": "s0", "n": 2}, {"site": "s1", "n": 1}]

    def test_an_invalid_query_is_refused_with_its_position(
        self, service: IoTHubRegistryManager
    ) -> None:
        query = QuerySpecification(query="SELECT * FROM devices WHERE tags.a == 1")
        with pytest.raises(HttpOperationError) as caught:
            service.query_iot_hub(query)
        assert error_code(caught.value) == (400, "ArgumentInvalid")
        assert "character 37" in caught.value.response.text


class TestCredentials:
    def test_a_wrong_service_key_is_refused(self, hub: LocalHub) -> None:
        wrong = hub.connection_string.replace("SharedAccessKey=b", "SharedAccessKey=c")
        code = refused(lambda: service_client(hub, wrong).get_twin("one"))
        assert code == (401, "IotHubUnauthorizedAccess")

    def test_a_wrong_device_key_is_refused(self, hub: LocalHub, connect: Connect) -> None:
        hub.create_device("one")
        other = hub.create_device("two")
        with pytest.raises(CredentialError):
            connect(other.replace("DeviceId=two", "DeviceId=one")).connect()

    def test_a_disabled_device_loses_its_connection_and_gets_no_other(
        self, hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
    ) -> None:
        connection_string = hub.create_device("one")
        first = connect(connection_string)
        first.connect()
        key = service.get_device("one").authentication.symmetric_key.primary_key
        service.update_device_with_sas("one", None, key, key, "disabled")

        eventually(lambda: not first.connected)
        with pytest.raises(CredentialError):
            connect(connection_string).connect()

    def test_the_newer_connection_of_a_device_wins(
        self, hub: LocalHub, service: IoTHubRegistryManager
    ) -> None:
        connection_string = hub.create_device("one")
        options = {
            "server_verification_cert": hub.ca_file.read_text(),
            "connection_retry": False,
        }
        make = IoTHubDeviceClient.create_from_connection_string
        older, newer = make(connection_string, **options), make(connection_string, **options)
        try:
            older.connect()
            newer.connect()
            eventually(lambda: not older.connected)
            assert newer.connected
            assert is_connected(service, "one")
        finally:
            older.shutdown()
            newer.shutdown()


def test_both_sdks_find_the_authority_in_the_environment(
    options: HubOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalHub(options) as hub:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
        monkeypatch.setenv("SSL_CERT_FILE", str(hub.ca_file))
        service = IoTHubRegistryManager.from_connection_string(hub.connection_string)
        device = IoTHubDeviceClient.create_from_connection_string(hub.create_device("one"))
        device.connect()
        assert is_connected(service, "one")
        device.shutdown()
