"""What cannot be read of one device costs no other device its outcome.

A response's payload holds up to 128 KiB: 60,000 brackets, more than Python recurses. The local hub
cuts at 500 levels; what the real one lets through is not known.
"""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import DeserializationError

from functions.errors import HubUnavailableError
from functions.hub_gateway.iot_hub import IotHub
from functions.rollouts.device import invoking
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.method_outcome import Lost, MethodResponse, Responded
from tests.functions.builders import make_moment
from tests.functions.rollouts.device.under_way import make_claimed

GOOD = [f"d-{number}" for number in range(20)]
STARTED = {"Response": "Firmware update started"}
NEVER_READ = [
    RecursionError("maximum recursion depth exceeded while decoding a JSON array"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ValueError("Exceeds the limit (4300 digits) for integer string conversion"),
    DeserializationError("no JSON"),
    MemoryError(),
    AttributeError("'NoneType' object has no attribute 'status'"),
]


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def make_twin(device_id: str, reported: Any) -> Any:
    properties = SimpleNamespace(reported=reported)
    return SimpleNamespace(
        device_id=device_id, properties=properties, connection_state="Connected", status="enabled"
    )


class Registry:
    """A registry manager whose device `odd` responds with `odd`, or makes the SDK raise it."""

    def __init__(self, odd: Any) -> None:
        self._odd = odd
        self.read: list[str] = []
        self.protocol = SimpleNamespace(devices=self)

    def invoke_method(self, device_id: str, _request: Any, *, timeout: Any) -> Any:  # noqa: ARG002
        payload = self._odd_value() if device_id == "odd" else STARTED
        return SimpleNamespace(status=200, payload=payload)

    def get_twin(self, device_id: str) -> Any:
        self.read.append(device_id)
        return self._odd_value() if device_id == "odd" else make_twin(device_id, {"a": 1})

    def query_iot_hub(self, *_: Any) -> Any:
        names = [*GOOD[:10], "odd", *GOOD[10:]]
        items = [
            self._odd_value() if name == "odd" else make_twin(name, {"a": 1}) for name in names
        ]
        return SimpleNamespace(items=items, continuation_token=None)

    def _odd_value(self) -> Any:
        if isinstance(self._odd, Exception):
            raise self._odd
        return self._odd


def hub_with(odd: Any) -> IotHub:
    registry: Any = Registry(odd)
    return IotHub(registry)


# -- responses of devices --------------------------------------------------------------------


@pytest.mark.parametrize("error", NEVER_READ, ids=lambda error: type(error).__name__)
def test_a_response_that_cannot_be_read_is_lost_and_the_others_are_kept(error: Exception) -> None:
    called = hub_with(error).invoke_all("firmwareUpdate", {name: {} for name in [*GOOD, "odd"]})
    good = [name for name, outcome in called.outcomes.items() if isinstance(outcome, Responded)]
    assert sorted(good) == sorted(GOOD)
    assert isinstance(called.outcomes["odd"], Lost)
    after = invoking.record_outcome(make_moment(), make_claimed(), 1, called.outcomes["odd"])
    assert (after.state, after.in_doubt) == (DeviceState.DISPATCHING, True)


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        ({"level": float("nan"), "Response": "ok"}, {"level": None, "Response": "ok"}),
        ([float("inf"), -1.5, True], [None, -1.5, True]),
        ({"a": {"b": float("-inf")}}, {"a": {"b": None}}),
        (float("nan"), None),
        ("text", "text"),
        (None, None),
    ],
)
def test_a_response_is_kept_without_numbers_that_json_has_not(payload: Any, kept: Any) -> None:
    outcome = hub_with(payload).invoke("odd", "firmwareUpdate", {})
    assert outcome == Responded(MethodResponse(status=200, payload=kept))


@pytest.mark.parametrize("levels", [19, 30, 900, 60_000])
def test_a_response_that_is_nested_deeply_accepts_and_is_cut(levels: int) -> None:
    outcome = hub_with(nested(levels)).invoke("odd", "firmwareUpdate", {})
    assert isinstance(outcome, Responded)
    text = json.dumps(outcome.response.payload)
    assert text.count("[") <= 21
    assert ("null" in text) == (levels > 20)
    after = invoking.record_outcome(make_moment(), make_claimed(), 1, outcome)
    assert after.state is DeviceState.ACCEPTED


# -- twins and rows --------------------------------------------------------------------------

UNREADABLE_TWINS = [None, SimpleNamespace(device_id=None), *NEVER_READ[:4], NEVER_READ[5]]


@pytest.mark.parametrize("odd", UNREADABLE_TWINS, ids=lambda odd: type(odd).__name__)
def test_a_twin_that_cannot_be_read_is_missing_and_the_others_are_read(odd: Any) -> None:
    hub = hub_with(odd)
    assert sorted(hub.read_twins([*GOOD, "odd"])) == sorted(GOOD)
    assert hub.read_twins(["odd"]) == {}


@pytest.mark.parametrize("odd", UNREADABLE_TWINS, ids=lambda odd: type(odd).__name__)
def test_of_a_page_with_an_unreadable_row_the_others_are_read_one_by_one(odd: Any) -> None:
    registry: Any = Registry(odd)
    assert sorted(IotHub(registry).query_twins([*GOOD, "odd"])) == sorted(GOOD)
    assert sorted(registry.read) == sorted([*GOOD, "odd"])


def test_a_row_without_a_device_id_is_left_out_of_the_connected_devices() -> None:
    odd = SimpleNamespace(device_id=None)
    assert hub_with(odd).query_connections([*GOOD, "odd"]).keys() == set(GOOD)
    assert hub_with(None).query_connections([*GOOD, "odd"]).keys() == set(GOOD)


def test_a_row_without_a_device_id_does_not_shorten_a_target() -> None:
    """The device cannot be named, so the rollout is not created without it."""
    with pytest.raises(HubUnavailableError, match="invalid"):
        hub_with(SimpleNamespace(device_id=None)).query_matching("true", [], None)


@pytest.mark.parametrize(
    "reported",
    [
        *[None, [], "x", 7, {"$metadata": None}, {"a": 1, "$metadata": 7}],
        *[{"a": 1, "$metadata": {"a": 7}}, {"a": 1, "$metadata": {"a": {"$lastUpdated": 7}}}],
        {"a": 1, "$metadata": {"a": {"$lastUpdated": "yesterday"}}},
    ],
)
def test_reported_properties_of_any_form_are_read(reported: Any) -> None:
    twin = hub_with(make_twin("odd", reported)).read_twin("odd")
    assert twin is not None
    assert twin.reported_at == {}
    assert twin.reported in ({}, {"a": 1})


def test_a_time_without_an_offset_is_in_utc() -> None:
    stamps = {"a": {"$lastUpdated": "2026-11-26T12:00:00.1234567"}}
    twin = hub_with(make_twin("odd", {"a": 1, "$metadata": stamps})).read_twin("odd")
    assert twin is not None
    assert twin.reported_at["a"].isoformat() == "2026-11-26T12:00:00.123456+00:00"
