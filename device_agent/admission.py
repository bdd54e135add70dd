"""Decide whether a device accepts an update, before any work starts.

1. The manifest must be signed by a trusted key, be meant for this device, and be neither expired
   nor older than what the device has confirmed before. A policy may require a manifest.
2. The other fields of the payload must not contradict the manifest; the manifest's values are used.
3. A device that cannot start now, but could later, defers the update: it responds with 409, after
   which the backend invokes it again later, and with `deferred`, which gives the reason.
"""

from dataclasses import dataclass, replace
from typing import Final

from device_agent.errors import UpdateFailedError
from device_agent.offer import Offer, read_offer
from device_agent.ports import Clock, Readiness
from device_agent.stages import MethodResponse, method_response
from device_agent.update import InvalidPayloadError, Update
from signed_firmware.errors import ManifestError
from signed_firmware.manifest import Manifest
from signed_firmware.trust import TrustStore
from signed_firmware.verification import check_agrees, check_fits, verify_manifest

_REFUSED: Final = 400
_DEFERRED: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which updates a device accepts."""

    model: str
    """The device's model, as manifests name it."""
    trust: TrustStore | None = None
    """The publishers' keys; None means that manifests are ignored."""
    signed_only: bool = False
    """Whether updates without a manifest are refused."""

    def __post_init__(self) -> None:
        """Check that a policy of signed firmware has keys. Raises ValueError."""
        if self.signed_only and self.trust is None:
            raise ValueError("a device that accepts only signed firmware needs keys to trust")


class DeclinedError(Exception):
    """The update does not start; `response` is the response to the method."""

    def __init__(self, response: MethodResponse) -> None:
        super().__init__(response.payload["Response"])
        self.response = response


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Checks the updates that are offered to one device."""

    policy: Policy
    """Which updates the device accepts."""
    readiness: Readiness
    """Whether it may start an update now."""
    clock: Clock
    """The time, for the manifest's expiry."""

    def admit(
        self, payload: object, update: Update, *, running_version: str, highest_sequence: int
    ) -> Offer:
        """Return the offer with the manifest's values. Raises DeclinedError."""
        try:
            offer = read_offer(payload, update)
            offer = self._apply_manifest(offer, running_version, highest_sequence)
        except InvalidPayloadError as error:
            raise DeclinedError(method_response(_REFUSED, str(error))) from error
        except ManifestError as error:
            response = method_response(_REFUSED, str(error), errorCode=error.code)
            raise DeclinedError(response) from error
        deferral = self.readiness.find_deferral()
        if deferral is not None:
            text = f"Deferred: {deferral.message}"
            raise DeclinedError(method_response(_DEFERRED, text, deferred=deferral.code))
        return offer

    def check_again(self, offer: Offer, *, running_version: str, highest_sequence: int) -> None:
        """Check the offer's manifest again: days may have passed since it was admitted.

        Raises UpdateFailedError.
        """
        if offer.manifest is None or self.policy.trust is None:
            return
        try:
            self._verify(offer.manifest, self.policy.trust, running_version, highest_sequence)
        except ManifestError as error:
            raise UpdateFailedError(error.code, str(error)) from error

    def _verify(
        self, envelope: str, trust: TrustStore, running_version: str, highest_sequence: int
    ) -> Manifest:
        manifest = verify_manifest(envelope, trust, self.clock.now())
        check_fits(
            manifest,
            model=self.policy.model,
            running_version=running_version,
            highest_sequence=highest_sequence,
        )
        return manifest

    def _apply_manifest(self, offer: Offer, running_version: str, highest_sequence: int) -> Offer:
        policy = self.policy
        if policy.trust is None:
            return offer
        if offer.manifest is None:
            if policy.signed_only:
                message = "the update has no manifest; this device accepts only signed firmware"
                raise DeclinedError(method_response(_REFUSED, message, errorCode="unsigned"))
            return offer
        manifest = self._verify(offer.manifest, policy.trust, running_version, highest_sequence)
        check_agrees(
            manifest,
            version=offer.update.version,
            sha256=offer.sha256,
            size_bytes=offer.size_bytes,
        )
        return replace(
            offer,
            update=replace(offer.update, version=manifest.version),
            sha256=manifest.sha256,
            size_bytes=manifest.size_bytes,
            sequence=manifest.sequence,
        )
