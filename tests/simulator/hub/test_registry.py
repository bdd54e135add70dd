"""The identity registry's rules."""

from dataclasses import replace

import pytest

from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import Status, device_document, identity_etag
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.json_types import Document, Json
from simulator.hub.rest.bulk import bulk_write
from tests.simulator.hub.builders import connect, make_device, make_hub, settings

KEY = "c2l4dGVlbi1ieXRlcy1vaw=="


@pytest.mark.parametrize("device_id", ["", "a/b", "a b", "x" * 129, "é", "a\n", 'a"', "a\\b"])
def test_ids_outside_the_allowed_characters_are_refused(device_id: str) -> None:
    with pytest.raises(HubError) as caught:
        make_device(make_hub(), device_id)
    assert caught.value.code is ErrorCode.ARGUMENT_INVALID


def test_ids_are_case_sensitive() -> None:
    hub = make_hub()
    make_device(hub, "one")
    make_device(hub, "ONE")
    assert [device.device_id for device in hub.registry.first(10)] == ["one", "ONE"]


def test_empty_keys_are_generated_and_given_ones_kept() -> None:
    hub = make_hub()
    generated = make_device(hub, "one").authentication
    assert generated.primary_key != generated.secondary_key
    assert make_device(hub, "two", primary_key=KEY).authentication.primary_key == KEY


@pytest.mark.parametrize("key", ["not base64!", "c2hvcnQ=", "eA==" * 3])
def test_keys_of_another_form_are_refused_without_being_shown(key: str) -> None:
    with pytest.raises(HubError) as caught:
        make_device(make_hub(), "one", primary_key=key)
    assert key not in caught.value.message


def test_updating_needs_the_current_etag_or_a_star() -> None:
    hub = make_hub()
    first = make_device(hub)
    hub.registry.update(settings("one"), identity_etag(first.etag))
    hub.registry.update(settings("one"), "*")
    with pytest.raises(HubError) as caught:
        hub.registry.update(settings("one"), identity_etag(first.etag))
    assert caught.value.code is ErrorCode.PRECONDITION_FAILED


def test_the_twin_survives_an_update_and_not_a_deletion() -> None:
    hub = make_hub()
    make_device(hub)
    hub.twins.report("one", {"a": 1})
    hub.registry.update(settings("one"), "*")
    assert hub.twins.device_view("one")["reported"] == {"a": 1, "$version": 2}
    hub.registry.delete("one", None)
    make_device(hub)
    assert hub.twins.device_view("one")["reported"] == {"$version": 1}


def test_disabling_and_deleting_close_the_connection() -> None:
    hub = make_hub()
    make_device(hub)
    link = connect(hub, "one", Subscription.METHODS)
    hub.registry.update(replace(settings("one"), status=Status.DISABLED), "*")
    assert len(link.closed) == 1
    hub.registry.update(settings("one"), "*")
    link = connect(hub)
    hub.registry.delete("one", "*")
    assert len(link.closed) == 1
    assert hub.connections.count == 0


def test_a_new_device_of_the_same_id_inherits_no_subscription() -> None:
    hub = make_hub()
    make_device(hub)
    connect(hub, "one", Subscription.METHODS)
    hub.registry.delete("one", "*")
    make_device(hub)
    connect(hub)
    assert hub.connections.subscriber("one", Subscription.METHODS) is None


def test_lists_end_at_the_requested_count() -> None:
    hub = make_hub()
    for number in range(3):
        make_device(hub, f"d{number}")
    assert [device.device_id for device in hub.registry.first(2)] == ["d0", "d1"]


def item(device_id: str, mode: str, **more: Json) -> Document:
    return {"id": device_id, "importMode": mode, **more}


def test_a_bulk_write_does_each_item_and_reports_those_that_failed() -> None:
    hub = make_hub()
    make_device(hub, "old")
    errors = bulk_write(
        hub,
        [
            item("new", "create", tags={"a": 1}),
            item("old", "Create"),
            item("old", "updateTwin", properties={"desired": {"b": 2}}),
            item("old", "updateIfMatchETag", eTag="stale"),
            item("other", "createOrUpdate", status="disabled"),
            item("missing", "delete"),
            item("new", "strange"),
        ],
    )
    assert [(error["deviceId"], error["errorCode"]) for error in errors] == [  # type: ignore[index, call-overload]
        ("old", "DeviceAlreadyExists"),
        ("old", "PreconditionFailed"),
        ("missing", "DeviceNotFound"),
        ("new", "ArgumentInvalid"),
    ]
    assert hub.twins.get("new").twin.tags == {"a": 1}
    assert hub.twins.device_view("old")["desired"] == {"b": 2, "$version": 2}
    assert device_document(hub.registry.get("other"))["status"] == "disabled"


def test_a_bulk_write_of_more_than_100_items_writes_nothing() -> None:
    hub = make_hub()
    with pytest.raises(HubError):
        bulk_write(hub, [item(f"d{number}", "create") for number in range(101)])
    assert hub.registry.statistics() == (0, 0, 0)
