"""The hub's side of TLS: for services, and for devices, which may show a certificate.

IoT Hub lets a device show any certificate, and looks at it afterwards: of a self-signed one it
knows no more than a thumbprint. Python's ssl has no such mode: it asks for a certificate only to
check it against those it trusts, and no one has a say in that check. So whatever a device shows
is made a trusted certificate between its arrival and the check, which then still finds out that
it is in time and that the device has its key. Who the device is, is the hub's decision.
"""

import asyncio
import contextlib
import hashlib
import ssl
import tempfile

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from simulator.hub.model.access import ClientCertificate

CERTIFICATES_PER_CONTEXT = 100
"""How many shown certificates a context keeps, and searches in every check."""
# RFC 8446, sections B.1 and B.3; RFC 5246 has the same numbers.
_HANDSHAKE, _CERTIFICATE = 22, 11
_HEADER_BYTES, _LENGTH_BYTES = 4, 3


def server_context(hub_pem: bytes) -> ssl.SSLContext:
    """TLS 1.2 and 1.3: the Python device SDK speaks only 1.2, Node's prefers 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile() as file:  # ssl takes keys from files only
        file.write(hub_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def device_context(hub_pem: bytes) -> ssl.SSLContext:
    """A context that passes each connection on to one that does not trust too many yet."""
    current = _asking_context(hub_pem)

    def at_hello(tls: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        nonlocal current
        if current.cert_store_stats()["x509"] >= CERTIFICATES_PER_CONTEXT:
            # A context never forgets a certificate; it is forgotten itself with its connections.
            current = _asking_context(hub_pem)
        tls.context = current

    context = _asking_context(hub_pem)
    context.sni_callback = at_hello
    return context


def read_client_certificate(
    transport: asyncio.BaseTransport, authority: x509.Certificate
) -> ClientCertificate | None:
    """What the client showed, if anything. `authority` is the hub's own."""
    tls = transport.get_extra_info("ssl_object")
    encoded: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
    if encoded is None:
        return None
    sha1 = hashlib.sha1(encoded, usedforsecurity=False)
    thumbprints = frozenset(
        digest.hexdigest().upper() for digest in (sha1, hashlib.sha256(encoded))
    )
    return ClientCertificate(thumbprints, _certified_name(encoded, authority))


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority itself signed the certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _asking_context(hub_pem: bytes) -> ssl.SSLContext:
    context = server_context(hub_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    # So that a trusted certificate passes without those of its issuers.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    # A hook for debugging: the only place between a message's arrival and what OpenSSL makes of
    # it. Not set as `context._msg_callback`, which makes enums of all numbers first, at twice
    # the cost for every TLS record.
    hook = ssl._SSLContext._msg_callback  # type: ignore[attr-defined]  # noqa: SLF001
    hook.__set__(context, _trust_what_is_shown)
    return context


def _trust_what_is_shown(  # noqa: PLR0917  called by ssl
    tls: ssl.SSLObject, direction: str, version: int, content: int, kind: int, message: bytes
) -> None:
    if (direction, content, kind) != ("read", _HANDSHAKE, _CERTIFICATE):
        return
    encoded = _first_certificate(message, version)
    # What is no certificate, OpenSSL refuses itself.
    with contextlib.suppress(ssl.SSLError):
        if encoded:
            tls.context.load_verify_locations(cadata=encoded)


def _first_certificate(message: bytes, version: int) -> bytes:
    """Of a Certificate message (RFC 8446, section 4.4.2; RFC 5246, section 7.4.6); or nothing."""
    body = message[_HEADER_BYTES:]
    if version >= ssl.TLSVersion.TLSv1_3:
        context_bytes = body[0] if body else 0
        body = body[1 + context_bytes :]
    entries = body[_LENGTH_BYTES:]
    length = int.from_bytes(entries[:_LENGTH_BYTES])
    return entries[_LENGTH_BYTES : _LENGTH_BYTES + length]


def _certified_name(encoded: bytes, authority: x509.Certificate) -> str | None:
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    return str(names[0].value) if names and is_issued_by(certificate, authority) else None
