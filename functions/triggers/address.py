"""The URL of a request without its query."""

from urllib.parse import urlsplit, urlunsplit

from azure.functions import HttpRequest


def url_without_query(request: HttpRequest) -> str:
    """Return the URL without its query, which may contain a function key."""
    url: str = request.url
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host, path, "", ""))
