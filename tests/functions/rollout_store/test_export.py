"""Export a rollout of several blocks from Azurite and from memory."""

from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.audit_trail import Event
from functions.use_cases.export import ExportPart, read_export
from functions.use_cases.read import ExplainedUpdate, Overview
from tests.functions.builders import at, change
from tests.functions.rollout_store.records import MANY, add_rollout


def shown(parts: list[ExportPart]) -> list[str]:
    """Return a name for each exported item."""
    return [_name(item) for part in parts for item in part.items]


def _name(item: Overview | ExplainedUpdate | Event) -> str:
    match item:
        case Overview():
            return item.rollout.id
        case ExplainedUpdate():
            return item.update.device_id
        case Event():
            return item.action


def test_an_export_is_continued_after_each_part_without_gap_or_repeat(stores: Stores) -> None:
    events = [Event(at=at(n), action=f"a{n}", by="ada", message="") for n in range(50)]
    snapshot = add_rollout(stores, *MANY)
    rollout = change(snapshot.rollout, events=tuple(events[20:]), event_count=50)
    stores.rollouts.save(snapshot, rollout, (), events[:20])
    whole = list(read_export(stores.rollouts, rollout.id, None, at(0)))
    names = shown(whole)
    assert names == [rollout.id, *MANY, *(event.action for event in events)]
    assert len(whole) > 3
    for number, part in enumerate(whole[:-1], 1):
        rest = list(read_export(stores.rollouts, rollout.id, part.cursor, at(0)))
        assert shown(whole[:number]) + shown(rest) == names
