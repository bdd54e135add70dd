"""Module identities: registry, twin and connection of their own, below a device."""

import pytest

from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import (
    Authentication,
    AuthenticationType,
    Device,
    DeviceSettings,
    Status,
    device_document,
)
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.registry import MAX_MODULES
from simulator.hub.model.twin import twin_document
from simulator.hub.model.twins import read_twin_write
from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.packets import ConnAck, Connect, Packet
from simulator.hub.mqtt.session import Session, SessionClosed
from simulator.hub.rest.bulk import bulk_write
from tests.simulator.hub.builders import NOW, connect, make_device, make_hub, settings, token


def module_settings(module_id: str, device_id: str = "one") -> DeviceSettings:
    return DeviceSettings(
        device_id=device_id,
        module_id=module_id,
        authentication=Authentication(type=AuthenticationType.SAS),
    )


def make_module(hub: Hub, module_id: str = "camera") -> Device:
    return hub.registry.create(module_settings(module_id))


def hub_with_module() -> Hub:
    hub = make_hub()
    make_device(hub)
    make_module(hub)
    return hub


def code_of(error: pytest.ExceptionInfo[HubError]) -> ErrorCode:
    return error.value.code


class TestRegistry:
    def test_a_module_has_keys_and_an_etag_of_its_own(self) -> None:
        hub = hub_with_module()
        module, device = hub.registry.get("one/camera"), hub.registry.get("one")
        assert module.authentication.primary_key != device.authentication.primary_key
        document = device_document(module)
        assert (document["deviceId"], document["moduleId"]) == ("one", "camera")
        assert "status" not in document

    def test_modules_are_not_listed_as_devices(self) -> None:
        hub = hub_with_module()
        assert [device.key for device in hub.registry.first(10)] == ["one"]
        assert hub.registry.statistics() == (1, 1, 0)
        assert [module.key for module in hub.registry.modules_of("one")] == ["one/camera"]

    def test_a_module_needs_its_device_and_a_free_name(self) -> None:
        hub = make_hub()
        with pytest.raises(HubError) as without_device:
            make_module(hub)
        make_device(hub)
        make_module(hub)
        with pytest.raises(HubError) as again:
            make_module(hub)
        with pytest.raises(HubError) as unknown:
            hub.registry.get("one/other")
        assert code_of(without_device) is ErrorCode.DEVICE_NOT_FOUND
        assert code_of(again) is ErrorCode.MODULE_ALREADY_EXISTS_ON_DEVICE
        assert code_of(unknown) is ErrorCode.MODULE_NOT_FOUND

    def test_a_device_has_at_most_fifty_modules(self) -> None:
        hub = make_hub()
        make_device(hub)
        for number in range(MAX_MODULES):
            make_module(hub, f"m{number}")
        with pytest.raises(HubError) as caught:
            make_module(hub, "one-more")
        assert code_of(caught) is ErrorCode.TOO_MANY_MODULES_ON_DEVICE

    @pytest.mark.parametrize("module_id", ["", "a/b", "a b"])
    def test_module_ids_follow_the_rule_of_device_ids(self, module_id: str) -> None:
        hub = make_hub()
        make_device(hub)
        with pytest.raises(HubError) as caught:
            make_module(hub, module_id)
        assert code_of(caught) is ErrorCode.ARGUMENT_INVALID

    def test_modules_are_deleted_with_their_device_and_not_restored_with_it(self) -> None:
        hub = hub_with_module()
        link = connect(hub, "one/camera")
        hub.registry.delete("one", "*")
        make_device(hub)
        assert link.closed
        assert hub.registry.modules_of("one") == []

    def test_deleting_a_module_leaves_the_device_and_the_others(self) -> None:
        hub = hub_with_module()
        make_module(hub, "motor")
        hub.registry.delete("one/camera", "*")
        assert [module.module_id for module in hub.registry.modules_of("one")] == ["motor"]

    def test_a_disabled_device_has_no_module_connected(self) -> None:
        hub = hub_with_module()
        link = connect(hub, "one/camera")
        disabled = DeviceSettings(
            device_id="one", authentication=settings("one").authentication, status=Status.DISABLED
        )
        hub.registry.update(disabled, "*")
        hub.registry.update(module_settings("camera"), "*")
        assert link.closed
        assert hub.registry.get("one/camera").status is Status.DISABLED


def test_bulk_items_with_a_module_id_are_modules() -> None:
    hub = make_hub()
    items: list[object] = [
        {"id": "one", "importMode": "create"},
        {"id": "one", "moduleId": "camera", "importMode": "create", "tags": {"a": 1}},
        {"id": "one", "moduleId": "camera", "importMode": "Create"},
        {"id": "one", "moduleId": "gone", "importMode": "delete"},
    ]
    errors = bulk_write(hub, items)  # type: ignore[arg-type]
    assert [(error["moduleId"], error["errorCode"]) for error in errors] == [  # type: ignore[index, call-overload]
        ("camera", "ModuleAlreadyExistsOnDevice"),
        ("gone", "ModuleNotFound"),
    ]
    assert hub.twins.get("one/camera").twin.tags == {"a": 1}


class TestTwins:
    def test_a_modules_twin_is_its_own_and_names_both_ids(self) -> None:
        hub = hub_with_module()
        link = connect(hub, "one/camera", Subscription.DESIRED_CHANGES)
        device_link = connect(hub, "one", Subscription.DESIRED_CHANGES)
        write = read_twin_write({"properties": {"desired": {"fps": 5}}})
        entry = hub.twins.patch("one/camera", write, None)
        document = twin_document(entry.device, entry.twin)
        assert (document["deviceId"], document["moduleId"]) == ("one", "camera")
        assert link.desired == [({"fps": 5}, 2)]
        assert device_link.desired == []
        assert hub.twins.get("one").twin.desired.version == 1


class Peer:
    """An outlet that decodes what it is given, and keeps the reason of a close."""

    def __init__(self, hub: Hub) -> None:
        self.sent: list[Packet] = []
        self.session = Session(hub, self)

    def write(self, data: bytes, /) -> None:
        self.sent += Decoder().feed(data)

    def on_accepted(self) -> None:
        pass

    def suspend(self, *, suspended: bool) -> None:
        pass

    def close(self, reason: str, /) -> None:
        raise AssertionError(reason)

    def connect(self, resource: str, key: str) -> None:
        self.session.receive(
            Connect(
                client_id="one/camera",
                clean_session=False,
                keep_alive=60,
                user_name="localhost/one/camera/?api-version=2021-04-12",
                password=token(resource, key, expiry=NOW + 60).encode(),
            )
        )


class TestConnecting:
    def test_a_module_connects_with_its_own_key_and_both_ids(self) -> None:
        hub = hub_with_module()
        peer = Peer(hub)
        key = hub.registry.get("one/camera").authentication.primary_key
        peer.connect("localhost/devices/one/modules/camera", key)
        assert peer.sent == [ConnAck(0, False)]

    @pytest.mark.parametrize("resource", ["/devices/one", "/devices/one/modules/other"])
    def test_a_module_cannot_connect_with_another_key(self, resource: str) -> None:
        hub = hub_with_module()
        for owner in ("one", "one/camera"):
            key = hub.registry.get(owner).authentication.primary_key
            own = owner == "one/camera" and resource == "/devices/one"
            if own:
                continue  # a token for the device covers what lies below it
            with pytest.raises(SessionClosed):
                Peer(hub).connect(f"localhost{resource}", key)
