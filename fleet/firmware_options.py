"""Declare the options that describe a firmware, for rollouts and for the catalogue."""

from pathlib import Path
from typing import Annotated

import typer

PackageUri = Annotated[str | None, typer.Option(help="where devices download it")]
Package = Annotated[Path | None, typer.Option(help="the package here, for its SHA-256 and size")]
Sha256 = Annotated[str | None, typer.Option()]
Manifest = Annotated[Path | None, typer.Option(help="file of a signed manifest")]
