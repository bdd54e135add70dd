"""Send devices links to packages in private storage: a new one with each attempt, never stored."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from functions.outbound.port import PackageLinkError
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.method_outcome import MethodOutcome, Responded
from functions.rollouts.model.package_uri import hide_secrets_in
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import stops
from functions.use_cases.services import Services

CODE = "packageStorage"
# A timeout begins with the device's acceptance: a claim lasts 90 s before that, and clocks differ.
MARGIN = timedelta(minutes=10)
# Of a lookup for a plan.
LOOKUP_VALIDITY = timedelta(minutes=5)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """The payloads of a batch with the links that its devices get."""

    payloads: Mapping[str, dict[str, Any]] = field(repr=False)  # by device id
    has_own_links: bool = False  # whether the links were made for this batch
    refusal: Reason | None = None  # why no link can be made until a role or setting is changed

    def hide_link(self, device_id: str, outcome: MethodOutcome) -> MethodOutcome:
        """Return an outcome whose response does not repeat a link that was made for its device.

        The rollout's own package URI is hidden when the outcome is recorded.
        """
        if not self.has_own_links or not isinstance(outcome, Responded):
            return outcome
        link = self.payloads[device_id]["fwPackageUri"]
        shown = hide_secrets_in(outcome.response.payload, link)
        return Responded(replace(outcome.response, payload=shown))


def sign(services: Services, rollout: Rollout, payloads: Mapping[str, dict[str, Any]]) -> Signed:
    """Replace the package URIs in payloads by links that are valid for the timeout.

    If no link can be made, return no payloads: devices must not fail because of that.
    """
    if services.package_links is None:
        return Signed(payloads)
    valid_for = rollout.strategy.timeout + MARGIN
    try:
        return Signed(
            {
                device_id: payload
                | {"fwPackageUri": services.package_links.make(payload["fwPackageUri"], valid_for)}
                for device_id, payload in payloads.items()
            },
            has_own_links=True,
        )
    except PackageLinkError as error:
        _log.warning("rollout %s: nothing was sent: %s", rollout.id, error)
        refusal = Reason(code=CODE, message=str(error)) if error.is_refusal else None
        return Signed({}, refusal=refusal)


def pause(rollout: Rollout, now: datetime, refusal: Reason | None) -> Rollout:
    """Pause a running rollout whose devices cannot get links."""
    if refusal is None or rollout.status is not RolloutStatus.RUNNING:
        return rollout
    return add_event(stops.add_stop(rollout, refusal), now, "paused", refusal.message)
