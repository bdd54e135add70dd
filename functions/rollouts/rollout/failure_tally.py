"""Count failures by their error codes: with each change of a device, or from all devices."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from functions.rollouts.model.block import Block
from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.device_state import ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.failure_count import FailureCount, failure_code
from functions.rollouts.model.state_letters import MEANINGS


class FailureTally:
    """The failures of a rollout while one change is recorded."""

    def __init__(self, known: Sequence[FailureCount] | None) -> None:
        """Begin with what is stored. None: failures were stored without their codes."""
        self._is_known = known is not None
        self._counts = Counter[ErrorCode]({item.code: item.count for item in known or ()})
        self._examples = {item.code: item.example for item in known or ()}

    def record(self, old: DeviceUpdate, new: DeviceUpdate) -> None:
        """Record a change of one device."""
        before, after = failure_code(old), failure_code(new)
        if before is after:
            return
        if before is not None:
            self._counts[before] -= 1
            if self._examples.get(before) == old.device_id:
                self._examples[before] = None
        if after is not None:
            self._counts[after] += 1
            self._examples[after] = self._examples.get(after) or new.device_id

    def counts(self, blocks: Mapping[int, Block]) -> tuple[FailureCount, ...] | None:
        """Return the failures by code; None if they are not known.

        Another example is taken from `blocks`, the changed ones.
        """
        if not self._is_known:
            return None
        for code, device_id in self._examples.items():
            if device_id is None and self._counts[code]:
                self._examples[code] = _find_example(code, blocks.values())
        counts = {code: count for code, count in self._counts.items() if count}
        return _sort(counts, self._examples)


def count_failures(blocks: Iterable[BlockStates]) -> tuple[FailureCount, ...]:
    """Count the failures of all devices by code."""
    counts, examples = Counter[ErrorCode](), dict[ErrorCode, str | None]()
    for block in blocks:
        for letter, device_id in block.examples.items():
            code = MEANINGS[letter].reason
            if isinstance(code, ErrorCode):
                counts[code] += block.letters.count(letter)
                examples.setdefault(code, device_id)
    return _sort(counts, examples)


def _find_example(code: ErrorCode, blocks: Iterable[Block]) -> str | None:
    updates = (update for block in blocks for update in block.updates)
    return next((item.device_id for item in updates if failure_code(item) is code), None)


def _sort(
    counts: Mapping[ErrorCode, int], examples: Mapping[ErrorCode, str | None]
) -> tuple[FailureCount, ...]:
    """Return the failures, the most frequent first."""
    found = [FailureCount(code, count, examples.get(code)) for code, count in counts.items()]
    return tuple(sorted(found, key=lambda item: (-item.count, item.code)))
