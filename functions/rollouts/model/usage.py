"""Count what calls use of the hub's messages of a day, as the hub bills them.

Source: Microsoft Learn, "Azure IoT Hub pricing" and "IoT Hub quotas and throttling": a method's
request and its response, a twin that is read and the result of a query are each billed in blocks.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used since it was last taken into account."""

    methods: int = 0  # direct methods that the hub accepted
    method_messages: int = 0  # messages of these: requests and responses
    twins: int = 0  # twins that were read one by one
    twin_messages: int = 0  # messages of these
    other_messages: int = 0  # messages of query results
    reports: int = 0  # messages in which devices report, estimated
    extra_pages: int = 0  # pages of queries beyond the expected one: the hub ended a page early
    refusals: int = 0  # calls that the hub refused because its day was used up (403002)

    @property
    def messages(self) -> int:
        """Return how many of the hub's messages of the day were used."""
        return self.method_messages + self.twin_messages + self.other_messages + self.reports

    def __add__(self, other: "Usage") -> Self:
        return type(self)(
            methods=self.methods + other.methods,
            method_messages=self.method_messages + other.method_messages,
            twins=self.twins + other.twins,
            twin_messages=self.twin_messages + other.twin_messages,
            other_messages=self.other_messages + other.other_messages,
            reports=self.reports + other.reports,
            extra_pages=self.extra_pages + other.extra_pages,
            refusals=self.refusals + other.refusals,
        )


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCosts:
    """What one call has cost lately, in messages."""

    method: float = 2.0  # a request and a response, each of one block
    twin: float = 1.0

    def learn(self, usage: Usage) -> "MessageCosts":
        """Return the costs with those of this usage; many calls weigh more than few."""
        return MessageCosts(
            method=_approach(self.method, usage.method_messages, usage.methods),
            twin=_approach(self.twin, usage.twin_messages, usage.twins),
        )


DEFAULT_COSTS = MessageCosts()

# Calls after which the earlier cost has no weight any more.
_FULL_WEIGHT = 100


def _approach(known: float, messages: int, calls: int) -> float:
    if not calls:
        return known
    return known + (messages / calls - known) * min(1.0, calls / _FULL_WEIGHT)


def blocks(size_bytes: int, block_bytes: int) -> int:
    """Return how many messages a body is billed as: its blocks, rounded up, at least one."""
    return max(1, -(-size_bytes // block_bytes))
