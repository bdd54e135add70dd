"""Convert the sequences that the failure gate judges to JSON and back."""

from typing import Any

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
