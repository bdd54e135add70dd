"""Check the names of requested waves. Stored ones may have what a request may not."""

from collections.abc import Iterator, Sequence

from functions.errors import FieldError, InvalidError
from functions.wire.texts import is_printable


def check_wave_names(names: Sequence[str | None]) -> None:
    """Raise InvalidError for a name that is not printable, or that two waves have."""
    _refuse_hidden_characters(names)
    repeated = list(_find_repeated_names(names))
    if repeated:
        raise InvalidError("Two waves have the same name; give them different names.", repeated)


def _refuse_hidden_characters(names: Sequence[str | None]) -> None:
    """Raise InvalidError for a wave's name with an invisible character."""
    fields = [
        FieldError(
            f"/strategy/waves/{index}/name",
            "must not contain control characters or invisible characters",
        )
        for index, name in enumerate(names)
        if name is not None and not is_printable(name)
    ]
    if fields:
        raise InvalidError("The name of a wave is invalid.", fields)


def _find_repeated_names(names: Sequence[str | None]) -> Iterator[FieldError]:
    for index, name in enumerate(names):
        first = names.index(name)
        if name is not None and first != index:
            pointer = f"/strategy/waves/{index}/name"
            yield FieldError(pointer, f"{name!r} is already the name of the wave at index {first}")
