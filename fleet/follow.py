"""Follow a rollout: each of its changes and events, through lost connections and restarts.

All that is shown comes from the service: a command that was killed and started again shows the
events that came meanwhile, because the audit trail is read from its beginning.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.exit_codes import ExitCode, NotEndedError
from fleet.responses import Json, cursor_of, items_of
from fleet.service import Service, rollout_path

MAX_WAIT_SECONDS = 60
# For a service that ignores waitSeconds.
MIN_POLL_SECONDS = 1.0
_PAGE = 100


@dataclass(frozen=True)
class Change:
    """A rollout as it is now, and the events since the last change."""

    rollout: Json
    events: list[Json]


class Trail:
    """The audit trail of a rollout, read on from where it was read to."""

    def __init__(self, service: Service, rollout_id: str) -> None:
        self._service = service
        self._path = rollout_path(rollout_id, "/events")
        self._cursor: str | None = None  # of the last page
        self._seen = 0  # events of the last page that were read before

    def read_new(self) -> list[Json]:
        """Return the events that were not read yet, oldest first."""
        found: list[Json] = []
        while True:
            page = self._service.get(self._path, {"limit": _PAGE, "cursor": self._cursor})
            items = items_of(page)
            found += items[self._seen :]
            following = cursor_of(page, self._cursor)
            if following is None:
                self._seen = len(items)
                return found
            self._cursor, self._seen = following, 0


def follow(service: Service, rollout_id: str, deadline: float | None) -> Iterator[Change]:
    """Yield the rollout as it is, then each change, until it is over.

    `deadline` is on the clock of `time.monotonic`, None: no limit. Raises NotEndedError.
    """
    path, trail = rollout_path(rollout_id), Trail(service, rollout_id)
    rollout = service.get(path)
    yield Change(rollout, trail.read_new())
    while rollout["endedAt"] is None:
        left = math.inf if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise NotEndedError(f"Rollout {rollout_id} has not ended in time; it goes on.")
        seconds, began = int(min(MAX_WAIT_SECONDS, max(1, left))), time.monotonic()
        query = {"waitSeconds": seconds, "after": rollout["revision"]}
        found = service.get(path, query, seconds)
        if found["revision"] != rollout["revision"]:
            rollout = found
            yield Change(rollout, trail.read_new())
        else:
            time.sleep(max(0.0, min(began + MIN_POLL_SECONDS - time.monotonic(), left)))


def waits_for_a_person(rollout: Json) -> bool:
    """Return whether the rollout goes on only after a person's decision."""
    reason = rollout.get("statusReason") or {}
    return rollout["status"] == "paused" or reason.get("code") == "awaitingApproval"


def exit_code_of(rollout: Json) -> ExitCode:
    """Return the exit code that a rollout which is over leads to."""
    return ExitCode.DONE if rollout["status"] == "completed" else ExitCode.NOT_COMPLETED
