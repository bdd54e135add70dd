"""Where a request went, without its query: that may hold a function key, and is not passed on."""

from urllib.parse import urlsplit, urlunsplit

from azure.functions import HttpRequest


def without_query(request: HttpRequest) -> str:
    url: str = request.url
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host, path, "", ""))
