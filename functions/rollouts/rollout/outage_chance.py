"""Tell whether chance explains how many devices of a control group are offline.

Of the group's n devices, x are offline. Which share is usually offline is learned from the first
devices of the stratum, right before they are invoked. Without an outage, x has a beta-binomial
distribution, which takes into account that only few devices were counted.

The share is learned twice: from the first FIRST_INVOKED devices, and from the first MAX_INVOKED.
More devices show the share better, but some of them may have been invoked after the outage began.
So an outage is found if either share makes x improbable: the smaller of both probabilities decides,
and is doubled because there are two.

- An outage begins if the probability of that many offline devices is at most MAX_CHANCE, and they
  are at least MIN_EXCESS more than expected. So of 100 comparisons without an outage at most one is
  wrong. It costs a wait, and hides no bad firmware: a later comparison ends it, or the offline
  deadline, where the same devices stay offline for days.
- It ends if the probability is at least MIN_CHANCE_BACK. The gap keeps it from beginning and ending
  again and again.

If all devices of a group are offline, MIN_SIZE devices are enough to find an outage where 70% are
usually connected, and nine where half are. In a rollout without strata, with a group of 100 of
which 95% are usually connected, an outage of 25% of the devices is found in 99.9% of comparisons,
one of 20% in 99%, and one of 10% in 48%.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, lgamma

from functions.rollouts.model.rollout import Rollout

# If all of this many devices are offline, that is not chance where most are usually connected: its
# probability is 0.3^5 or less.
MIN_SIZE = 5
# Below 0.01, because the prior is wrong for fleets of which half sleeps.
MAX_CHANCE, MIN_CHANCE_BACK = 0.008, 0.1
# In an outage, at least this share of the group is offline beyond what is expected.
MIN_EXCESS = 0.05
# The same share, from which a stratum is away as a whole. Its outage is its own.
MIN_AWAY = 0.5
# What is expected before devices were invoked: nine of ten connected, with the weight of two
# devices. More than 98% is never expected, as a single device that is switched off would then be an
# outage.
_PRIOR_CONNECTED, _PRIOR_OFFLINE = 1.8, 0.2
_MIN_OFFLINE = 0.02
# Devices of each stratum from which the share is learned. Later devices are not counted, so that an
# outage that is not noticed yet is not learned as usual.
FIRST_INVOKED, MAX_INVOKED = 40, 200


@dataclass(frozen=True, slots=True)
class Control:
    """A control group as it was just now."""

    stratum: int | None  # whose devices it is compared with
    size: int
    connected: int
    of_all: bool = False  # devices of all strata
    # Devices of all strata, which are compared, too: an outage may hit a part of each. None: the
    # rollout has no strata, or `of_all` is set.
    fleet: "Control | None" = None


@dataclass(frozen=True, slots=True)
class Expected:
    """Which share of devices is usually offline: the parameters of a beta distribution."""

    offline: float
    connected: float

    @property
    def share(self) -> float:
        """Return the share that is usually connected."""
        return self.connected / (self.offline + self.connected)


def expect(invoked: int, connected: int) -> Expected:
    """Return what is expected of other devices, from those that were about to be invoked."""
    known = invoked + _PRIOR_CONNECTED + _PRIOR_OFFLINE
    offline = max(_MIN_OFFLINE * known, invoked - connected + _PRIOR_OFFLINE)
    return Expected(offline, known - offline)


def is_outage(control: Control, expected: Sequence[Expected], groups: int) -> bool:
    """Return whether more devices are offline than chance explains, in one of `groups` groups."""
    is_rare = groups * corrected_chance(control, expected) <= MAX_CHANCE
    return is_rare and _excess(control, expected) >= MIN_EXCESS


def is_outage_over(control: Control, expected: Sequence[Expected], groups: int) -> bool:
    """Return whether chance explains how many devices are still offline, in one of `groups`."""
    return groups * corrected_chance(control, expected) >= MIN_CHANCE_BACK


def is_away(control: Control, expected: Sequence[Expected]) -> bool:
    """Return whether most devices of the group that are usually connected are offline."""
    return control.size >= MIN_SIZE and _excess(control, expected) >= MIN_AWAY


def _excess(control: Control, expected: Sequence[Expected]) -> float:
    """Return how many more devices are offline than expected, as a share of the group."""
    offline = control.size - control.connected
    return offline / control.size - 1 + max(item.share for item in expected)


def corrected_chance(control: Control, expected: Sequence[Expected]) -> float:
    """Return the smallest `chance` of the control group, times the number of `expected`.

    The factor is the Bonferroni correction; the result may be above 1.
    """
    offline = control.size - control.connected
    return len(expected) * min(chance(control.size, offline, item) for item in expected)


def chance(size: int, least: int, expected: Expected) -> float:
    """Return the probability that at least `least` of `size` devices are offline."""
    a, b = expected.offline, expected.connected
    none = _log_beta(a, b)
    return sum(
        comb(size, n) * exp(_log_beta(n + a, size - n + b) - none) for n in range(least, size + 1)
    )


def expected_of(
    rollout: Rollout, stratum: int | None, *, of_all: bool = False
) -> tuple[Expected, Expected]:
    """Return what is expected of a stratum, or of all: from FIRST_INVOKED and from MAX_INVOKED."""
    index = stratum or 0
    chosen = slice(None) if of_all else slice(index, index + 1)
    many = rollout.measured.invoked[chosen]
    few = rollout.measured.first_invoked[chosen]
    return _expect_sum(few), _expect_sum(many)


def _expect_sum(counts: Sequence[tuple[int, int]]) -> Expected:
    return expect(sum(invoked for invoked, _ in counts), sum(number for _, number in counts))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
