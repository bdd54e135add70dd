"""Test the records of a rollout that has not begun."""

from typing import Any

import pytest

from functions.errors import InvalidError
from functions.rollouts.model.block import BLOCK_SIZE, Block
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity, IdentityKind
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollback import package_key
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout.strata import Strata
from functions.use_cases import draft
from tests.functions.builders import NOON, ROLLOUT_ID, at, make_rollout, make_wave, make_waves

ADA = Identity(kind=IdentityKind.API, name="ada")
FIRMWARE = Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin")
EARLIER = Firmware(version="2.3.0", package_uri="https://packages.example/fw-2.3.0.bin")
IDS = [f"d-{number:03}" for number in range(250)]


def make_blocks(**more: Any) -> list[Block]:
    waves = make_waves(make_wave(1), make_wave(149), make_wave(100))
    known: dict[str, Any] = {"package_keys": {}, "strata": Strata((), {})}
    return list(draft.make_blocks(make_rollout(), IDS, waves, now=NOON, **(known | more)))


def test_a_draft_keeps_what_was_requested() -> None:
    request = NewRollout(
        firmware=FIRMWARE,
        strategy=Strategy(max_in_flight=7),
        body_hash="hash",
        condition="tags.site = 'berlin'",
        joiners=True,
        labels={"build": "1234"},
        start_at=at(60),
        rollback_of="undone",
        earlier_firmware=(EARLIER,),
        key_hash="key",
        created_by=ADA,
        remark=" A remark.",
    )
    rollout = draft.draft_rollout(request, ROLLOUT_ID, NOON)
    definition = rollout.definition
    assert (rollout.id, rollout.status) == (ROLLOUT_ID, RolloutStatus.SCHEDULED)
    assert (definition.firmware, definition.strategy) == (FIRMWARE, request.strategy)
    assert (definition.target.condition, definition.target.joiners) == (request.condition, True)
    assert (definition.created_at, definition.start_at) == (NOON, at(60))
    assert (definition.created_by, definition.labels) == (ADA, {"build": "1234"})
    assert (definition.rollback_of, definition.earlier_firmware) == ("undone", (EARLIER,))
    assert definition.key_hash == "key"
    (event,) = rollout.audit.events
    assert (event.at, event.action, event.by) == (NOON, "created", "ada")
    assert event.message == "Firmware 2.4.0. A remark."


def test_waves_that_do_not_fit_name_their_field() -> None:
    request = NewRollout(
        firmware=FIRMWARE, strategy=Strategy(waves=(WavePlan(size=20),)), body_hash="hash"
    )
    assert [wave.size for wave in draft.make_waves(request, 30)] == [20, 10]
    with pytest.raises(InvalidError) as caught:
        draft.make_waves(request, 10)
    (field,) = caught.value.fields
    assert field.pointer == "/strategy/waves"
    assert "20 devices" in field.detail


def test_blocks_have_the_devices_in_order_with_their_waves() -> None:
    blocks = make_blocks()
    updates = [update for block in blocks for update in block.updates]
    assert [block.number for block in blocks] == [0, 1, 2]
    assert [len(block.updates) for block in blocks] == [BLOCK_SIZE, BLOCK_SIZE, 50]
    assert [update.device_id for update in updates] == IDS
    assert [update.wave for update in updates] == [0] + [1] * 149 + [2] * 100
    assert {(item.queued_at, item.updated_at, len(item.history)) for item in updates} == {
        (NOON, NOON, 1)
    }
    (line,) = updates[0].history
    assert (line.state, line.attempt, line.at) == ("queued", 1, NOON)


@pytest.mark.parametrize(
    ("first", "count", "numbers"),
    [(0, 2, [0, 1]), (1, 1, [1]), (1, 9, [1, 2]), (2, None, [2]), (3, 1, [])],
)
def test_blocks_are_made_in_parts(first: int, count: int | None, numbers: list[int]) -> None:
    whole = make_blocks()
    assert make_blocks(first=first, count=count) == [whole[number] for number in numbers]


def test_a_device_of_a_rollback_has_its_own_package_and_a_stratum_if_it_has_one() -> None:
    key = package_key(EARLIER.version, 1)
    strata = Strata(("one",), {"d-001": 0})
    updates = make_blocks(package_keys={"d-000": key}, strata=strata, count=1)[0].updates
    assert (updates[0].version, updates[0].package, updates[0].stratum) == ("2.3.0", 1, None)
    assert (updates[1].version, updates[1].package, updates[1].stratum) == (None, 0, 0)
