"""Declare the options that describe a firmware, for rollouts and for the catalogue."""

from pathlib import Path
from typing import Annotated

import typer

PackageUri = Annotated[str | None, typer.Option(help="where devices download the package")]
Package = Annotated[
    Path | None, typer.Option(help="the package as a file, for its SHA-256 and size")
]
Sha256 = Annotated[str | None, typer.Option(help="or its SHA-256")]
Manifest = Annotated[Path | None, typer.Option(help="file of a signed manifest")]
