"""Check what the timer does when it cannot tick."""

import logging
from typing import Any, cast

import pytest

from functions import wiring
from functions.errors import StorageUnavailableError, TableMissingError
from functions.last_calls import PartState
from functions.triggers import background


@pytest.mark.parametrize(
    ("error", "is_alarm"),
    [(TableMissingError("gone"), True), (StorageUnavailableError("x"), False)],
)
def test_a_missing_table_is_an_alarm_in_the_log(
    error: Exception,
    is_alarm: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(wiring, "services", refuse)
    tick = cast("Any", background.advance_rollouts)
    function = tick.build().get_user_function() if hasattr(tick, "build") else tick
    with caplog.at_level(logging.CRITICAL), pytest.raises(type(error)):
        function(None)
    assert wiring.last_calls().tick.state() is PartState.FAILING
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL] * is_alarm
