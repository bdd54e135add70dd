"""What is judged of a stratum in the whole rollout, and why it is frozen."""

from dataclasses import dataclass
from datetime import datetime

from functions.rollouts.model.gate_sequence import NO_SEQUENCE, GateSequence
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import Rollback
from functions.rollouts.model.stop import ShownFailures


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenStratum:
    """A frozen stratum: none of its devices starts, in any wave."""

    reason: Reason
    at: datetime  # when it was frozen
    revision: int  # the first revision of the rollout that shows it
    shown: tuple[ShownFailures, ...] = ()  # each time that the stratum became worse
    is_cancelled: bool = False  # its queued devices are cancelled
    rollback: Rollback | None = None  # what undoes its devices alone; None: nothing does


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumGate:
    """One stratum of a rollout, over all waves."""

    sequence: GateSequence = NO_SEQUENCE  # its devices in the order of their starts
    acknowledged_at: datetime | None = None  # when the sequence began anew; None: it did not
    frozen: FrozenStratum | None = None  # None: its devices may start
