"""The body of a request, or why it did not arrive.

The Functions host passes a body on only if the request has a Content-Length (azure-functions-host,
`GrpcMessageConversionExtensions.ToRpcHttp`). A body sent in chunks would be dropped silently.
"""

from azure.functions import HttpRequest

from functions.errors import EncodingError, LengthRequiredError, MalformedError


def read_body(request: HttpRequest) -> bytes:
    """Return the body as it was sent; empty if none was.

    Raises LengthRequiredError, EncodingError, MalformedError.
    """
    body: bytes = request.get_body() or b""
    encoding = _header(request, "content-encoding")
    if encoding not in {"", "identity"}:
        raise EncodingError(
            f"The body has the Content-Encoding {encoding[:40]!r}; send it without one."
        )
    if body:
        return body
    if _header(request, "transfer-encoding"):
        raise LengthRequiredError(
            "The body was sent in chunks, and did not arrive. Send it with a Content-Length; for an"
            " empty body, Content-Length: 0."
        )
    if _header(request, "content-length").strip("0"):
        raise MalformedError("The body did not arrive although the request has a Content-Length.")
    return b""


def _header(request: HttpRequest, name: str) -> str:
    return str(request.headers.get(name) or "").strip().lower()
