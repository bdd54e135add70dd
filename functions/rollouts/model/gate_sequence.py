"""The devices of a wave in the order in which they started, and which of them failed."""

from collections.abc import Iterator
from typing import NamedTuple

# Stands for a failure that was withdrawn: the device completed late, or is tried again.
_WITHDRAWN = 0


class Prefix(NamedTuple):
    """The first devices of a sequence, up to one that failed."""

    failed: int
    devices: int  # failed, healthy and in flight


class Mark(NamedTuple):
    """How far a sequence had come at some time."""

    started: int
    in_flight: int
    failures: int  # entries of `failed`


class GateSequence(NamedTuple):
    """What the failure gate judges of a wave: its first devices to start, and their failures.

    Each device has a start rank from 1, given when its method is sent. The devices that were in
    flight when the sequence began come first, together; all others follow by their ranks. It is a
    named tuple because it is copied for each change of a device (see `DeviceUpdate`).
    """

    started: int = 0  # the last start rank that was given
    first: int = 0  # devices up to this rank started before the sequence began
    carried: int = 0  # of those, how many were in flight then, or failed and are tried again
    in_flight: int = 0  # devices with a rank and without an end, also in their soak
    # The ranks of failed devices in the order of their failures; 0 for one that was withdrawn.
    failed: tuple[int, ...] = ()
    # The bit `1 << rank` is set for a device that did not start after all. It has no rank any more.
    released: int = 0

    @property
    def failures(self) -> int:
        """Return how many devices failed."""
        return len(self.failed) - self.failed.count(_WITHDRAWN)

    @property
    def devices(self) -> int:
        """Return how many devices have started."""
        return self._count_until(self.started)

    def prefixes(self) -> Iterator[Prefix]:
        """Return the prefixes that end in a failure, shortest first."""
        ranks = sorted(max(rank, self.first) for rank in self.failed if rank != _WITHDRAWN)
        for failed, rank in enumerate(ranks, 1):
            if failed == len(ranks) or ranks[failed] != rank:
                yield Prefix(failed, self._count_until(rank))

    def start(self) -> "GateSequence":
        """Give the next device its rank: `started` of the returned sequence."""
        return self._replace(started=self.started + 1, in_flight=self.in_flight + 1)

    def release(self, rank: int) -> "GateSequence":
        """Take a rank back: the device did not start."""
        return self._replace(in_flight=self.in_flight - 1, released=self.released | 1 << rank)

    def end(self) -> "GateSequence":
        """Count an end that is no failure of the firmware. The device counts as healthy."""
        return self._replace(in_flight=self.in_flight - 1)

    def fail(self, rank: int) -> "GateSequence":
        """Count a failure of the device with this rank."""
        return self._replace(in_flight=self.in_flight - 1, failed=(*self.failed, rank))

    def withdraw(self, rank: int) -> "GateSequence":
        """Withdraw a failure. Acknowledged failures are not in the sequence, so nothing changes."""
        if rank not in self.failed:
            return self
        position = self.failed.index(rank)
        return self._replace(
            failed=(*self.failed[:position], _WITHDRAWN, *self.failed[position + 1 :])
        )

    def try_again(self, rank: int) -> "GateSequence":
        """Let a failed device be in flight again. It keeps its rank."""
        carried = self.carried
        if rank not in self.failed and rank <= self.first:  # acknowledged
            carried += 1
        return self.withdraw(rank)._replace(in_flight=self.in_flight + 1, carried=carried)

    def mark(self) -> Mark:
        """Return how far the sequence has come."""
        return Mark(self.started, self.in_flight, len(self.failed))

    def restart(self, shown: Mark | None = None) -> "GateSequence":
        """Begin a new sequence with the devices that are in flight now, or were at `shown`.

        Failures after `shown` are failures of the new sequence.
        """
        at = shown or self.mark()
        if at.started < self.first:  # a retry has begun a new one since
            return self
        return self._replace(
            first=at.started,
            carried=at.in_flight,
            failed=tuple(filter(None, self.failed[at.failures :])),
            released=self.released >> at.started + 1 << at.started + 1,
        )

    def _count_until(self, rank: int) -> int:
        """Return how many devices of the sequence have at most this rank."""
        released = (self.released & (1 << rank + 1) - 1).bit_count() if self.released else 0
        return self.carried + max(0, rank - self.first) - released


NO_SEQUENCE = GateSequence()
