"""The state diagrams of docs/how-it-works.md, drawn from the code's own tables.

`python -m tests.docs.state_diagrams` prints them; a test holds the document to them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from functions.rollouts.model.device_state import ENDED, MOVES, DeviceState
from functions.rollouts.model.rollout import STATUS_MOVES, RolloutStatus

_ENDS = (RolloutStatus.COMPLETED, RolloutStatus.FAILED, RolloutStatus.CANCELLED)


def device_update_diagram() -> str:
    return _diagram(DeviceState.QUEUED, MOVES, [state for state in DeviceState if state in ENDED])


def rollout_diagram() -> str:
    return _diagram(RolloutStatus.SCHEDULED, STATUS_MOVES, _ENDS)


def _diagram[T: StrEnum](begin: T, moves: Mapping[T, frozenset[T]], ends: Iterable[T]) -> str:
    kind = type(begin)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {begin.value}"]
    for state in kind:
        lines += [f"    {state.value} --> {to.value}" for to in kind if to in moves[state]]
    lines += [f"    {state.value} --> [*]" for state in ends]
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    print(device_update_diagram(), rollout_diagram(), sep="\n\n")
