"""The event feed: cursor, limits and the form of events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.errors import HubError
from simulator.hub.model.events import MAX_PAGE_BYTES, EventFeed, EventType
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Json
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.event_bodies import event_document, page_document, read_message
from tests.simulator.hub.builders import NOW, connect, make_device, make_hub


def feed_of(count: int, **bounds: int) -> EventFeed:
    feed = EventFeed(**bounds)
    for _ in range(count):
        feed.append(NOW, EventType.TELEMETRY, "one", body=b"12345")
    return feed


@given(
    st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=60),
    st.integers(1, 20),
    st.integers(200, 3000),
)
def test_a_reader_gets_each_event_once_or_learns_it_was_dropped(
    steps: list[int | None], max_events: int, max_bytes: int
) -> None:
    """Read and append: a number appends that many events, None reads at most three."""
    feed = EventFeed(max_events=max_events, max_bytes=max_bytes)
    cursor, seen, dropped = 0, list[int](), 0
    for step in [*steps, *[None] * 120]:
        if step is None:
            page = feed.read(cursor, 3)
            seen += [event.sequence for event in page.events]
            cursor, dropped = page.cursor, dropped + page.dropped
        else:
            for _ in range(step):
                feed.append(NOW, EventType.TELEMETRY, "one", body=b"x" * 50)
        assert feed.size_bytes <= max_bytes
    assert seen == sorted(set(seen))
    assert len(seen) + dropped == feed.last == cursor


def test_old_events_are_counted_as_dropped() -> None:
    page = feed_of(10, max_events=4).read(2, 100)
    assert [event.sequence for event in page.events] == [7, 8, 9, 10]
    assert (page.dropped, page.cursor) == (4, 10)


def test_a_cursor_from_before_a_restart_starts_over() -> None:
    page = feed_of(3).read(50, 100)
    assert page.events == ()
    assert page.cursor == 3


def test_a_page_is_bounded_in_bytes_too() -> None:
    feed = EventFeed()
    for _ in range(20):
        feed.append(NOW, EventType.TELEMETRY, "one", body=bytes(256 * 1024))
    page = feed.read(0, 1000)
    assert 0 < len(page.events) <= MAX_PAGE_BYTES // (256 * 1024)
    assert page.cursor == page.events[-1].sequence


def test_a_waiting_reader_is_woken_once() -> None:
    feed, woken = EventFeed(), list[str]()
    feed.when_more(lambda: woken.append("first"))
    other = lambda: woken.append("other")  # noqa: E731
    feed.when_more(other)
    feed.forget(other)
    feed.forget(other)
    feed.append(NOW, EventType.CONNECTED, "one")
    feed.append(NOW, EventType.CONNECTED, "one")
    assert woken == ["first"]


class TestWhatHappens:
    @pytest.fixture
    def hub(self) -> Hub:
        hub = make_hub()
        make_device(hub)
        return hub

    def shown(self, hub: Hub) -> list[Json]:
        value = page_document(hub.events.read(0, 100))["value"]
        assert isinstance(value, list)
        for event in value:
            assert isinstance(event, dict)
            event.pop("time")
            event.pop("sequence")
        return value

    def test_connects_and_disconnects_are_events(self, hub: Hub) -> None:
        link = connect(hub)
        hub.connections.detach("one", link)
        assert self.shown(hub) == [
            {"type": "connected", "deviceId": "one"},
            {"type": "disconnected", "deviceId": "one"},
        ]

    def test_telemetry_is_read_with_its_properties(self, hub: Hub) -> None:
        bag = "a=b%26c&%24.ct=application%2Fjson&%24.mid=7&empty="
        hub.accept_telemetry("one", bag, b'{"t":1}')
        hub.accept_telemetry("one", "", b"\xff")
        common = {"type": "telemetry", "deviceId": "one"}
        assert self.shown(hub) == [
            common
            | {
                "properties": {"a": "b&c", "empty": ""},
                "systemProperties": {"contentType": "application/json", "messageId": "7"},
                "body": {"t": 1},
            },
            common | {"properties": {}, "systemProperties": {}, "bodyBase64": "/w=="},
        ]

    def test_twin_changes_are_read_with_the_patch_as_sent(self, hub: Hub) -> None:
        hub.report("one", b'{"x":{"y":null}}')
        with pytest.raises(HubError):
            hub.report("one", b"[]")
        body: Json = {"tags": {"a": None}, "properties": {"desired": {"v": 2}}, "deviceId": "one"}
        hub.twins.patch("one", read_twin_write(body), None)
        hub.twins.replace("one", read_twin_write({"tags": {}}), None)
        common = {"type": "twinChange", "deviceId": "one"}
        written = {"tags": {"a": None}, "properties": {"desired": {"v": 2}}}
        assert self.shown(hub) == [
            common | {"by": "device", "patch": {"x": {"y": None}}, "version": 2},
            common | {"by": "service", "patch": written, "version": 2},
            common | {"by": "service", "patch": {"tags": {}}, "version": 2},
        ]


@given(st.text(max_size=60), st.binary(max_size=60))
def test_any_telemetry_can_be_shown(bag: str, body: bytes) -> None:
    feed = EventFeed()
    feed.append(NOW, EventType.TELEMETRY, "one", detail=bag, body=body)
    json.dumps(event_document(feed.read(0, 1).events[0])).encode()


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"body": "plain"}, b"plain"),
        ({"body": {"a": 1}}, b'{"a":1}'),
        ({"bodyBase64": "/w=="}, b"\xff"),
        ({}, b""),
    ],
)
def test_a_message_can_have_any_body(body: Json, content: bytes) -> None:
    message = read_message(body, "one")
    assert message.body == content
    assert message.system_properties["to"] == "/devices/one/messages/devicebound"
    assert message.system_properties["mid"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"bodyBase64": "%"},
        {"properties": {"a": 1}},
        {"properties": []},
        {"systemProperties": {"mid": "short names are the wire's"}},
    ],
)
def test_an_invalid_message_is_refused(body: Json) -> None:
    with pytest.raises(HubError):
        read_message(body, "one")
