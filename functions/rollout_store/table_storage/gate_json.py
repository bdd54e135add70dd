"""Convert the sequences that the failure gate judges to JSON and back."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from functions.rollout_store.table_storage.values import to_text, to_time
from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.gate_sequence import GateSequence, Mark
from functions.rollouts.model.stop import ShownFailures


def sequence_to_json(sequence: GateSequence) -> list[Any]:
    *numbers, failed, released = sequence
    return [*numbers, ranks_to_json(failed), f"{released:x}"]


def sequence_from_json(value: Any) -> GateSequence:
    *numbers, failed, released = value
    return GateSequence._make((*numbers, ranks_from_json(failed), int(released, 16)))


def ranks_to_json(ranks: Sequence[int]) -> str:
    """Write the first start rank and then the difference of each to the one before.

    Devices fail about in the order of their starts, so a difference has a digit or two where a
    rank has six, and a row can hold the failures of a million devices.
    """
    return ",".join(str(rank - before) for before, rank in pairwise((0, *ranks)))


def ranks_from_json(value: Any) -> tuple[int, ...]:
    """Read start ranks. Rows of earlier versions have a list of the ranks themselves."""
    if not isinstance(value, str):
        return tuple(value)
    return tuple(accumulate(map(int, value.split(",")))) if value else ()


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
    return [
        [to_text(step.at), step.wave, step.stratum, step.ratio, step.failed, step.threshold]
        for step in steps
    ]


def history_from_json(value: Any) -> tuple[GateStep, ...]:
    """Read the steps. Rows of earlier versions have neither failures nor thresholds."""
    names = ("wave", "stratum", "ratio", "failed", "threshold")
    return tuple(
        GateStep(at=to_time(at), **dict(zip(names, others, strict=False))) for at, *others in value
    )
