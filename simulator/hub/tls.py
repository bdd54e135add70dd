"""The hub's TLS contexts: for services, and for devices, which may present a certificate.

IoT Hub accepts any client certificate in the handshake and checks it later; of a self-signed one
it knows the thumbprint only. Python's ssl has no such mode: it requests a certificate only to
verify it against trusted ones. So the certificate that a device presents is added to the trusted
ones after it arrives and before it is verified. The verification still checks its validity period
and that the device has its key. The hub decides later which device it belongs to.
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
"""Client certificates that a context trusts, and searches in every verification."""
# RFC 8446, sections B.1 and B.3; RFC 5246 has the same numbers.
_HANDSHAKE, _CERTIFICATE = 22, 11
_HEADER_BYTES, _LENGTH_BYTES = 4, 3


def server_context(hub_pem: bytes) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and 1.3: Python's device SDK has only 1.2, Node prefers 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile() as file:  # ssl takes keys from files only
        file.write(hub_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def device_context(hub_pem: bytes) -> ssl.SSLContext:
    """Return a context that passes each connection to one that trusts few certificates yet."""
    current = _requesting_context(hub_pem)

    def at_hello(tls: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        nonlocal current
        if current.cert_store_stats()["x509"] >= CERTIFICATES_PER_CONTEXT:
            # A context never drops a certificate; it is dropped itself with its connections.
            current = _requesting_context(hub_pem)
        tls.context = current

    context = _requesting_context(hub_pem)
    context.sni_callback = at_hello
    return context


def read_client_certificate(
    transport: asyncio.BaseTransport, authority: x509.Certificate
) -> ClientCertificate | None:
    """Return the client's certificate, or None. `authority` is the hub's own."""
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
    """Return whether the authority itself signed the certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _requesting_context(hub_pem: bytes) -> ssl.SSLContext:
    context = server_context(hub_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    # A trusted certificate is then valid without those of its issuers.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    # A hook for debugging, the only one that runs between a message's arrival and OpenSSL's
    # verification. Not set as `context._msg_callback`, which converts all numbers to enums and
    # so doubles the cost of every TLS record.
    hook = ssl._SSLContext._msg_callback  # type: ignore[attr-defined]  # noqa: SLF001
    hook.__set__(context, _trust_client_certificate)
    return context


def _trust_client_certificate(  # noqa: PLR0917  called by ssl
    tls: ssl.SSLObject, direction: str, version: int, content: int, kind: int, message: bytes
) -> None:
    if (direction, content, kind) != ("read", _HANDSHAKE, _CERTIFICATE):
        return
    encoded = _first_certificate(message, version)
    # OpenSSL itself refuses data that is not a certificate.
    with contextlib.suppress(ssl.SSLError):
        if encoded:
            tls.context.load_verify_locations(cadata=encoded)


def _first_certificate(message: bytes, version: int) -> bytes:
    """Return the first entry of a Certificate message, or nothing.

    Source: RFC 8446, section 4.4.2; RFC 5246, section 7.4.6."""
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
