"""The terminal, or the pipe, that people read."""

import sys

from rich.console import Console

# Rich shows nothing at a width of 0, which COLUMNS may say.
MIN_WIDTH = 20


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error, which ends the command in silence; rich would end it with code 1."""
        raise BrokenPipeError


def make_console() -> Console:
    """Return a console that shows texts as they are; it wraps lines in a terminal alone."""
    soft = not sys.stdout.isatty()
    console = _Console(highlight=False, markup=False, emoji=False, soft_wrap=soft)
    console.width = max(console.width, MIN_WIDTH)
    return console
