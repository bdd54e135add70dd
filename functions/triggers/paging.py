"""Pages of lists: the parameters that select one, and the link to the next."""

from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from azure.functions import HttpRequest

from functions.errors import InvalidError
from functions.rollout_store.ports.records import CursorError
from functions.triggers.address import url_without_query
from functions.triggers.parameters import Parameter, TextParameter, WholeNumberParameter
from functions.wire.schema import PageSchema, Schema

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

LIMIT = WholeNumberParameter(name="limit", low=1, high=MAX_PAGE_SIZE, default=DEFAULT_PAGE_SIZE)
CURSOR = TextParameter("cursor", "From a nextLink.", "query")
PAGE = (LIMIT, CURSOR)


def read_page[T](read: Callable[[int, str | None], T], request: HttpRequest) -> T:
    """Call `read` with the limit and the cursor. Raises InvalidError for an unknown cursor."""
    limit = LIMIT.read(request)
    return read_from_cursor(lambda cursor: read(limit, cursor), request)


def read_from_cursor[T](read: Callable[[str | None], T], request: HttpRequest) -> T:
    """Call `read` with the cursor. Raises InvalidError for an unknown cursor."""
    try:
        return read(CURSOR.read(request))
    except CursorError as error:
        raise InvalidError(f"The query parameter cursor is {error}.") from error


def build_page[T: PageSchema](
    schema: type[T],
    request: HttpRequest,
    items: Iterable[Schema],
    cursor: str | None,
    *filters: Parameter,
) -> T:
    """Build a page. Its link is the request's URL with the same filters and the next cursor."""
    return schema.model_construct(
        value=list(items),
        next_link=None if cursor is None else _link_of_page(request, cursor, filters),
    )


def next_link(request: HttpRequest, **query: str | int | None) -> str:
    """Return the request's URL with another query."""
    return f"{url_without_query(request)}?{urlencode(query)}"


def _link_of_page(request: HttpRequest, cursor: str, filters: Iterable[Parameter]) -> str:
    names = [parameter.name for parameter in filters]
    kept = {name: request.params[name] for name in names if name in request.params}
    return next_link(request, **kept, limit=LIMIT.read(request), cursor=cursor)
