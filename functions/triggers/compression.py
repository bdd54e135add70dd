"""Compress responses of routes whose bodies are large and repetitive.

The Functions host on Linux does not compress responses of Python functions.
"""

import gzip
import re

from azure.functions import HttpRequest, HttpResponse

_GZIP = re.compile(r"\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?")
# Fast; level 9 saves 3% more of the states of 10,000 devices.
_LEVEL = 6


def compress(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the response, compressed with gzip if the request accepts that."""
    response.headers["Vary"] = "Accept-Encoding"
    accepted = request.headers.get("accept-encoding") or ""
    if not any(_GZIP.fullmatch(part) for part in accepted.split(",")):
        return response
    headers = {**response.headers, "Content-Encoding": "gzip"}
    body = gzip.compress(response.get_body(), _LEVEL, mtime=0)
    return HttpResponse(
        body, status_code=response.status_code, headers=headers, mimetype=response.mimetype
    )
