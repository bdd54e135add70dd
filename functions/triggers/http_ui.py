"""The page: its assets, which need no key because they contain no data.

They are not part of the API's description.
"""

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions.triggers.compression import compress

blueprint = func.Blueprint()

_FOLDER = Path(__file__).parent.parent / "ui"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_METHODS = ["GET", "HEAD", "OPTIONS"]
_HEADERS = {
    # Nothing but the page's own files and the API beside it; no inline script or style.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The browser checks each time whether its copy is current, so that no two releases are mixed.
    "Cache-Control": "no-cache",
}


@blueprint.route("ui", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
def get_page(req: HttpRequest) -> HttpResponse:
    """Return the page. Its links are relative to a URL without a slash at the end."""
    if urlsplit(req.url).path.endswith("/") and req.method != "OPTIONS":
        return HttpResponse(status_code=308, headers={"Location": "../ui"})
    return _send(req, "index.html")


@blueprint.route("ui/{file}", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
def get_page_file(req: HttpRequest) -> HttpResponse:
    """Return one of the files beside the page, by its exact name."""
    return _send(req, req.route_params["file"])


def _send(request: HttpRequest, name: str) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(
            status_code=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(_METHODS)}
        )
    content = _read_files().get(name)
    if content is None:
        return HttpResponse(status_code=HTTPStatus.NOT_FOUND)
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = b"" if request.method == "HEAD" else content
    kind = _TYPES[Path(name).suffix]
    response = HttpResponse(body, headers=headers, mimetype=kind, charset="utf-8")
    return compress(request, response)


@cache
def _read_files() -> dict[str, bytes]:
    """Return the content of each file by name. A name from a request is never a path."""
    return {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}
