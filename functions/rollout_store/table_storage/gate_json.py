"""Convert the sequences that the failure gate judges to JSON and back."""

from collections.abc import Sequence
from typing import Any

from functions.rollout_store.table_storage.values import to_text, to_time
from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.gate_sequence import GateSequence, Mark
from functions.rollouts.model.stop import ShownFailures


def sequence_to_json(sequence: GateSequence) -> list[Any]:
    return [*sequence[:-1], f"{sequence.released:x}"]


def sequence_from_json(value: Any) -> GateSequence:
    *numbers, failed, released = value
    return GateSequence._make((*numbers, tuple(failed), int(released, 16)))


def shown_to_json(shown: ShownFailures) -> list[Any]:
    return [shown.revision, shown.failed, shown.ended, *shown.mark]


def shown_from_json(value: Any) -> ShownFailures:
    """Read what a revision showed. Rows of earlier versions have the healthy devices third."""
    if isinstance(value[2], bool):
        revision, failed, ended, *mark = value
        return ShownFailures(revision=revision, failed=failed, ended=ended, mark=Mark(*mark))
    revision, failed, healthy, ended = value
    return ShownFailures(
        revision=revision, failed=failed, ended=ended, mark=Mark(failed + healthy, 0, failed)
    )


def history_to_json(steps: Sequence[GateStep]) -> list[Any]:
    return [[to_text(step.at), step.wave, step.stratum, step.ratio] for step in steps]


def history_from_json(value: Any) -> tuple[GateStep, ...]:
    return tuple(
        GateStep(at=to_time(at), wave=wave, stratum=stratum, ratio=ratio)
        for at, wave, stratum, ratio in value
    )
