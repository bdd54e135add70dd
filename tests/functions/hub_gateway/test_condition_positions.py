"""Test that the positions in the hub's messages are those of the caller's condition."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.port import ConditionError
from simulator.hub.local_hub import LocalHub

CONDITION = "tags.site ~ 'berlin'"


@pytest.mark.parametrize(
    "call",
    [
        lambda hub: hub.query_matching(CONDITION, (), None),
        lambda hub: hub.query_matching(CONDITION, ("tags.model",), None),
        lambda hub: hub.count_matching(CONDITION),
    ],
)
def test_a_position_is_one_of_the_condition(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, call: Callable[[IotHub], Any]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    gateway = open_iot_hub(hub.connection_string, None)
    with pytest.raises(ConditionError) as caught:
        call(gateway)
    assert "at character 11" in str(caught.value)
