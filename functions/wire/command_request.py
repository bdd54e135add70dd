"""The body of a command (pause, resume, cancel, approve, retry, rollback), which may be empty."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.pending_retry import RetryState
from functions.wire.parsing import parse_as
from functions.wire.repeated_devices import refuse_repeated_devices
from functions.wire.schema import Schema
from functions.wire.texts import DeviceId, PackageUri, Text128, Text256

# A request reads the block of each device that it names. More devices are selected by their states.
MAX_RETRIED_DEVICES = 1_000

_EXAMPLES: Mapping[str, Any] = {
    "with reason and name": {"reason": "the canary runs hot", "by": "ada"},
}
_RESUME_EXAMPLES: Mapping[str, Any] = {
    **_EXAMPLES,
    "with the revision that was read": {"revision": 214, "by": "ada"},
    "of one stratum": {"strata": ["thermostat/berlin"], "by": "ada"},
}
_STRATA_EXAMPLES: Mapping[str, Any] = {
    **_EXAMPLES,
    "of one stratum": {"strata": ["thermostat/berlin"], "by": "ada"},
}
StratumName = Annotated[str, Field(min_length=1, max_length=128)]
MAX_NAMED_STRATA = 51  # as many as a rollout has
MAX_REVISION = 2**53  # beyond it, JSON numbers are not exact everywhere
_RETRY_EXAMPLES: Mapping[str, Any] = {
    **_EXAMPLES,
    "with a new link": {
        "packageUri": "https://packages.example/fw-2.4.0.bin?sv=2024-11-04&sig=bmV3",
        "reason": "the link had expired",
    },
    "of chosen devices": {"deviceIds": ["thermostat-1"], "states": ["failed", "skipped"]},
}


class CommandSchema(Schema):
    """The name of the caller and the reason, for the audit trail."""

    request_name = "SteeringRequest"
    body_examples = _EXAMPLES

    reason: Text256 | None = None
    by: Text128 | None = None


def _differ(states: list[RetryState]) -> list[RetryState]:
    if len(set(states)) < len(states):
        raise ValueError("must name each state once")
    return states


def _differ_in_strata(strata: list[str] | None) -> list[str] | None:
    if strata is not None and len(set(strata)) < len(strata):
        raise ValueError("must name each stratum once")
    return strata


def _describe_strata(schema: dict[str, Any]) -> None:
    described = schema["properties"]["strata"]
    described.get("anyOf", [described])[0]["uniqueItems"] = True


def _describe_lists(schema: dict[str, Any]) -> None:
    for name in ("deviceIds", "states"):
        described = schema["properties"][name]
        described.get("anyOf", [described])[0]["uniqueItems"] = True


class StrataCommandSchema(CommandSchema):
    """The body of a command that may be for some strata alone."""

    request_name = "StrataSteeringRequest"
    model_config = ConfigDict(json_schema_extra=_describe_strata)
    body_examples = _STRATA_EXAMPLES

    strata: Annotated[
        list[StratumName] | None,
        Field(
            min_length=1,
            max_length=MAX_NAMED_STRATA,
            description="Names of strata of the rollout; null: the whole rollout.",
        ),
        AfterValidator(_differ_in_strata),
    ] = None


class ResumeCommandSchema(StrataCommandSchema):
    """The body of a resume, which may name the revision that the caller has read."""

    request_name = "ResumeSteeringRequest"
    body_examples = _RESUME_EXAMPLES

    package_uri: Annotated[
        PackageUri | None,
        Field(description="Where the same package is now; null: the address is unchanged."),
    ] = None
    revision: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_REVISION,
            strict=True,
            description="The `revision` of the response that was read; failures that it shows are"
            " acknowledged. null: only what the rollout was paused for.",
        ),
    ] = None


class RetryCommandSchema(CommandSchema):
    """The body of a retry: which devices, and a new address of the package."""

    request_name = "RetrySteeringRequest"
    model_config = ConfigDict(json_schema_extra=_describe_lists)
    body_examples = _RETRY_EXAMPLES

    package_uri: Annotated[
        PackageUri | None,
        Field(description="Where the same package is now; null: the address is unchanged."),
    ] = None
    device_ids: Annotated[
        list[DeviceId] | None,
        Field(
            min_length=1,
            max_length=MAX_RETRIED_DEVICES,
            description="The devices to queue again; null: all in one of the states.",
        ),
    ] = None
    states: Annotated[
        list[RetryState], Field(min_length=1, max_length=len(RetryState)), AfterValidator(_differ)
    ] = Field(default=[RetryState.FAILED])


def parse(body: bytes) -> CommandSchema:
    """Parse the body of a command. Raises TooLargeError, MalformedError, InvalidError."""
    return _parse(CommandSchema, body)


def parse_strata(body: bytes) -> StrataCommandSchema:
    """Parse a body that may name strata. Raises TooLargeError, MalformedError, InvalidError."""
    return _parse(StrataCommandSchema, body)


def parse_resume(body: bytes) -> ResumeCommandSchema:
    """Parse the body of a resume. Raises TooLargeError, MalformedError, InvalidError."""
    command = _parse(ResumeCommandSchema, body)
    if command.strata and command.package_uri is not None:
        detail = "is for the whole rollout: leave it out, or leave out strata"
        raise InvalidError("The body is invalid.", [FieldError("/packageUri", detail)])
    return command


def parse_retry(body: bytes) -> RetryCommandSchema:
    """Parse the body of a retry. Raises TooLargeError, MalformedError, InvalidError."""
    command = _parse(RetryCommandSchema, body)
    refuse_repeated_devices(command.device_ids or (), "/deviceIds")
    return command


def _parse[T: CommandSchema](schema: type[T], body: bytes) -> T:
    return parse_as(schema, body) if body.strip() else schema()
