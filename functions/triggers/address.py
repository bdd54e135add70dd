"""The addresses of this API as callers reach it.

Behind API Management or another gateway, callers use another host, and perhaps another path, than
the request that arrives here. `ROLLOUT_PUBLIC_URL` says which; the Host header is then not read.
"""

from urllib.parse import urlsplit, urlunsplit

from azure.functions import HttpRequest

from functions.settings.environment import read_public_url


def base_url(request: HttpRequest) -> str:
    """Return the URL at which the API's paths begin. Raises SettingsError."""
    scheme, host, path, _, _ = urlsplit(request.url)
    return read_public_url() or urlunsplit((scheme, host, _split_prefix(path)[0], "", ""))


def url_without_query(request: HttpRequest) -> str:
    """Return the URL without its query, which may contain a key. Raises SettingsError."""
    return base_url(request) + _split_prefix(urlsplit(request.url).path)[1]


def _split_prefix(path: str) -> tuple[str, str]:
    """Split a path after its first segment, the prefix of all routes (host.json, `api`)."""
    prefix, slash, rest = path.removeprefix("/").partition("/")
    return f"/{prefix}", slash + rest
