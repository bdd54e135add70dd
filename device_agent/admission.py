"""Whether a device takes up an update that it is read_offer; asked before anything is begun.

1. Its manifest must be signed by a key that the device trusts, be meant for it, and not expired or
   older than what it has taken before. A device may insist on there being one.
2. The rest of the payload must not contradict the manifest, and the manifest is what counts.
3. A device that cannot begin now, though it could later, defers: with 409, which its backend waits
   out, and `deferred`, which says why.
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
    """What a device accepts; without a trust store it cannot check manifests, and ignores them."""

    model: str
    trust: TrustStore | None = None
    signed_only: bool = False

    def __post_init__(self) -> None:
        if self.signed_only and self.trust is None:
            raise ValueError("a device that takes signed firmware only needs keys to trust")


class DeclinedError(Exception):
    """The update is not begun; `response` says why."""

    def __init__(self, response: MethodResponse) -> None:
        super().__init__(response.payload["Response"])
        self.response = response


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """One device's door."""

    policy: Policy
    readiness: Readiness
    clock: Clock

    def admitted(
        self, payload: object, update: Update, *, running_version: str, highest_sequence: int
    ) -> Offer:
        """The offer as it will be carried out. Raises DeclinedError."""
        try:
            offer = read_offer(payload, update)
            offer = self._signed(offer, running_version, highest_sequence)
        except InvalidPayloadError as error:
            raise DeclinedError(method_response(_REFUSED, str(error))) from error
        except ManifestError as error:
            raise DeclinedError(
                method_response(_REFUSED, str(error), errorCode=error.code)
            ) from error
        deferral = self.readiness.find_deferral()
        if deferral is not None:
            text = f"Deferred: {deferral.message}"
            raise DeclinedError(method_response(_DEFERRED, text, deferred=deferral.code))
        return offer

    def check_again(self, offer: Offer, *, running_version: str, highest_sequence: int) -> None:
        """Whether the offer's manifest still holds: days may have passed since it was admitted.

        Raises UpdateFailedError.
        """
        if offer.manifest is None or self.policy.trust is None:
            return
        try:
            self._verified(offer.manifest, self.policy.trust, running_version, highest_sequence)
        except ManifestError as error:
            raise UpdateFailedError(error.code, str(error)) from error

    def _verified(
        self, manifest: str, trust: TrustStore, running_version: str, highest_sequence: int
    ) -> Manifest:
        found = verify_manifest(manifest, trust, self.clock.now())
        check_fits(
            found,
            model=self.policy.model,
            running_version=running_version,
            highest_sequence=highest_sequence,
        )
        return found

    def _signed(self, offer: Offer, running_version: str, highest_sequence: int) -> Offer:
        policy = self.policy
        if policy.trust is None:
            return offer
        if offer.manifest is None:
            if policy.signed_only:
                message = "this device takes signed firmware only"
                raise DeclinedError(method_response(_REFUSED, message, errorCode="unsigned"))
            return offer
        manifest = self._verified(offer.manifest, policy.trust, running_version, highest_sequence)
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
