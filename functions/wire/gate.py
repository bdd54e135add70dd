"""The failure gate in responses, and the body of `POST /rollouts/{id}/gate/preview`."""

from collections.abc import Mapping
from typing import Any

from functions.rollouts.model.strategy import FailureGate, Strategy
from functions.wire.change_request import FailureGatePatchSchema, merge_into
from functions.wire.fields import Count
from functions.wire.gate_view import GateViewSchema
from functions.wire.parsing import parse_as
from functions.wire.schema import Schema
from functions.wire.strategy import FailureGateSchema

_EXAMPLES: Mapping[str, Any] = {
    "stricter": {"failureGate": {"unacceptable": "5%", "confidence": 0.99}}
}


class GatePreviewRequestSchema(Schema):
    """The rates and the confidence to try; those that are left out are the rollout's."""

    request_name = "GatePreview"
    body_examples = _EXAMPLES

    failure_gate: FailureGatePatchSchema

    def apply(self, strategy: Strategy) -> FailureGate:
        """Return the gate to try. Raises InvalidError for rates that do not fit together."""
        patch = self.failure_gate.model_dump(by_alias=True, exclude_unset=True, warnings=False)
        return merge_into(strategy, {"failureGate": patch}, base="").failure_gate


def parse_preview(body: bytes) -> GatePreviewRequestSchema:
    """Parse the body of a preview. Raises TooLargeError, MalformedError, InvalidError."""
    return parse_as(GatePreviewRequestSchema, body)


class GatePreviewEntrySchema(GateViewSchema):
    """What a gate would have decided of one wave, or of one stratum, until now."""

    breached: bool
    breached_at_failure: Count | None


class GatePreviewSchema(Schema):
    """What another gate would have decided with what happened so far."""

    failure_gate: FailureGateSchema
    gate: list[GatePreviewEntrySchema]
