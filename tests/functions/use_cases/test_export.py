"""Test in which parts a rollout is exported, and how each part is continued."""

import pytest

from functions.rollout_store.ports.records import CursorError
from functions.use_cases import export
from functions.use_cases.create import create
from functions.use_cases.export import ExportPart, read_export
from tests.functions.use_cases.world import World, devices


def export_parts(world: World, rollout_id: str, cursor: str | None = None) -> list[ExportPart]:
    return list(read_export(world.stores.rollouts, rollout_id, cursor, world.now))


@pytest.mark.parametrize("count", [20, 220])
def test_each_part_names_where_the_next_one_begins(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    world = World(devices(count), still=True)
    rollout_id = world.create().rollout.id
    world.tick()
    monkeypatch.setattr(export, "_EVENTS_AT_ONCE", 1)
    parts = export_parts(world, rollout_id)
    sizes = [len(part.items) for part in parts]
    events = world.rollout(rollout_id).audit.event_count
    assert sizes == [1, *[100] * (count // 100), 20, *[1] * events]
    assert [part.cursor is None for part in parts] == [False] * (len(parts) - 1) + [True]
    for number, part in enumerate(parts[:-1], 1):
        assert export_parts(world, rollout_id, part.cursor) == parts[number:]


def test_a_cursor_has_at_most_9_digits() -> None:
    world = World(devices(220), still=True)
    rollout_id = world.create().rollout.id
    assert len(export_parts(world, rollout_id, "devices.000000001")) == 3
    with pytest.raises(CursorError):
        export_parts(world, rollout_id, "devices.0000000001")


def test_a_rollout_whose_devices_are_not_written_yet_has_no_part_for_them() -> None:
    world = World(devices(1200), still=True)
    request = world.request(condition="tags.site = 'x'", device_ids=())
    rollout_id = create(world.services, request, None).rollout.id
    assert [len(part.items) for part in export_parts(world, rollout_id)] == [1, 1]
