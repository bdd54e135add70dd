"""Check what a response says of the package before any of its bytes is kept."""

from device_agent.errors import Failure, RefusedError, UnavailableError
from device_agent.offer import Offer
from device_agent.ports import PackageResponse


def check_response(response: PackageResponse, offer: Offer) -> None:
    """Check that a response can be the offered package, or a part of it.

    Raises UnavailableError for a web page, and RefusedError.
    """
    total, size = response.total, offer.size_bytes
    is_right_size = total is not None and total == size
    if response.is_web_page and not (offer.sha256 and is_right_size):
        # A captive portal sends its page until a person has agreed to its terms, which takes time.
        raise UnavailableError(
            "the server sent a web page instead of the package", Failure.BAD_RESPONSE
        )
    if total is not None and size is not None and total != size:
        raise RefusedError(f"the package has {total} bytes, expected {size}", Failure.SIZE_MISMATCH)
    if not response.has_length and size is None and offer.sha256 is None:
        # Nothing would show that such a body was cut off.
        raise RefusedError("the server does not state the package's length", Failure.BAD_RESPONSE)


def is_another_package(response: PackageResponse, etag: str | None, size: int | None) -> bool:
    """Return whether the entity tag or the size differs from what earlier responses stated."""
    pairs = ((etag, response.etag), (size, response.total))
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)
