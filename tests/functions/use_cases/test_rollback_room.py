"""Test how many versions fit into the record of a rollback, which is one row."""

from dataclasses import replace

import pytest

from functions.rollout_store.table_storage import block_rows, rollout_rows
from functions.rollout_store.table_storage.values import utf16_length
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases.rollback import roll_back
from tests.functions.builders import (
    ROLLOUT_ID,
    counted,
    make_blocks,
    make_rollout,
    make_update,
    make_wave,
)
from tests.functions.manifests import signed
from tests.functions.use_cases.world import World

ADA = Caller("ada")
ROW_UNITS = 2**20 // 2
# What the longest updates of a block take beside the record of a small rollout.
UPDATES = BLOCK_SIZE * block_rows.MAX_UPDATE_UNITS


def make_release(version: str, notes: int = 380) -> Firmware:
    """Make firmware with a manifest of about 1 KiB."""
    manifest = signed(version=version, allowDowngrade=True, notes="x" * notes)
    return Firmware(version=version, package_uri="https://packages.example/fw", manifest=manifest)


def roll_back_from(*before: Firmware) -> tuple[World, Rollout]:
    """Roll back devices that ran these versions before, one device each."""
    world = World([])
    for firmware in before:
        world.stores.catalogue.save(firmware)
    updates = [
        make_update(f"d-{n:03}", state=DeviceState.COMPLETED, previous_version=firmware.version)
        for n, firmware in enumerate(before)
    ]
    undone = counted(make_rollout(make_wave(len(updates))), updates)
    world.stores.rollouts.add(undone, list(make_blocks(updates).values()))
    return world, roll_back(world.services, undone.id, ADA).rollout


def count_units(rollout: Rollout) -> int:
    """Count the UTF-16 units of the record's row, without its devices."""
    row = rollout_rows.rollout_to_row(rollout)
    return sum(utf16_length(value) for value in row.values() if isinstance(value, str))


@pytest.mark.parametrize(
    ("versions", "beside", "least"), [(600, 0, 180), (120, 0, 120), (90, UPDATES, 30)]
)
def test_as_many_versions_as_fit_are_brought_back(versions: int, beside: int, least: int) -> None:
    _, back = roll_back_from(*(make_release(f"1.{n}.0") for n in range(versions)))
    assert least <= back.total == 1 + len(back.definition.earlier_firmware) <= versions
    assert count_units(back) + beside < ROW_UNITS


def test_the_versions_of_most_devices_come_first_and_both_audit_trails_name_the_others() -> None:
    rare = [f"1.{n:02}.0" for n in range(80)]
    world, back = roll_back_from(*map(make_release, [*rare, "9.0.0", "9.0.0"]))
    assert back.firmware.version == "9.0.0"
    left = 82 - back.total
    said = (
        f"Not brought back: {left} devices whose versions exceed what one rollback can hold:"
        f" {'; '.join(rare[-left:][:5])}; and {left - 5} more."
        " Bring them back with one rollout per version."
    )
    events = [*back.audit.events, *world.rollout(ROLLOUT_ID).audit.events]
    assert [event.action for event in events if said in event.message] == [
        "created",
        "rollbackCreated",
    ]


def test_the_longest_firmware_fits() -> None:
    longest = make_release("\U0001f680" * 64, notes=11_000)
    uri = f"https://{'\U0001f680' * 2_040}"
    longest = replace(longest, package_uri=uri)
    _, back = roll_back_from(longest)
    assert back.firmware == longest
    assert count_units(back) + UPDATES < ROW_UNITS
