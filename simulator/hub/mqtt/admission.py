"""Admission of a CONNECT: authentication and the return code.

Source: MQTT 3.1.1, section 3.2.2.3; Microsoft Learn, "Communicate with your IoT hub using the
MQTT protocol", sections "Use the MQTT protocol directly" and "Authenticate a device that uses
X.509". Which of the return codes 4 and 5 the service sends in which case is unverified.
"""

from dataclasses import dataclass

from simulator.hub.model.access import ClientCertificate
from simulator.hub.model.device import Device, Status
from simulator.hub.model.errors import HubError
from simulator.hub.model.faults import Action
from simulator.hub.model.hub import Hub
from simulator.hub.model.metering import Operation
from simulator.hub.mqtt.packets import Connect

ACCEPTED, BAD_LEVEL, BAD_CLIENT_ID, SERVER_UNAVAILABLE = 0, 1, 2, 3
BAD_CREDENTIALS, NOT_AUTHORIZED = 4, 5
"""CONNACK return codes (section 3.2.2.3)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision on a CONNECT."""

    return_code: int
    expires_at: int | None = None
    """When the token expires (Unix time); None for a certificate or a refusal."""


def admit(hub: Hub, packet: Connect, certificate: ClientCertificate | None) -> Admission:
    """Decide on a CONNECT: authenticate, then apply faults."""
    admission = authenticate(hub, packet, certificate)
    if admission.return_code != ACCEPTED:
        return admission
    return _after_faults(hub, packet.client_id, admission.expires_at)


def authenticate(hub: Hub, packet: Connect, certificate: ClientCertificate | None) -> Admission:
    """Check a CONNECT without applying faults."""
    if packet.level != 4:  # noqa: PLR2004  section 3.1.2.2
        return Admission(BAD_LEVEL)
    if not packet.client_id:
        return Admission(BAD_CLIENT_ID)
    if not _is_user_name(hub, packet.user_name, packet.client_id):
        return Admission(BAD_CREDENTIALS)
    try:
        device = hub.registry.get(packet.client_id)
        expires_at = _check_credentials(hub, device, packet.password, certificate)
    except HubError:
        return Admission(NOT_AUTHORIZED)
    if device.status is not Status.ENABLED:
        return Admission(NOT_AUTHORIZED)
    return Admission(ACCEPTED, expires_at)


def _after_faults(hub: Hub, client_id: str, expires_at: int | None) -> Admission:
    faults = hub.traffic.faults
    if faults.active:
        if faults.is_expired(client_id, expires_at):
            return Admission(NOT_AUTHORIZED)
        refusal = faults.strike(Action.REFUSE, Operation.CONNECT, client_id)
        if refusal is not None:
            return Admission(refusal.return_code)
    return Admission(ACCEPTED, expires_at)


def _check_credentials(
    hub: Hub, device: Device, password: bytes | None, certificate: ClientCertificate | None
) -> int | None:
    """Check the token, or without a password the certificate. Return when the token expires."""
    if not password and certificate is not None:
        hub.access.check_certificate(certificate, device)
        return None
    token = (password or b"").decode("utf-8", "replace")
    return hub.access.check_device(token, device, hub.clock.now())


def _is_user_name(hub: Hub, user_name: str | None, client_id: str) -> bool:
    """Return whether the user name is `{host name}/{client id}/?api-version=...`."""
    host, _, rest = (user_name or "").partition("/")
    return hub.access.is_this_hub(host) and (rest == client_id or rest.startswith(f"{client_id}/"))
