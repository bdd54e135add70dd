"""Declare the options that describe a strategy, for new rollouts and for changes of open ones."""

from typing import Annotated

import typer

SuccessShare = Annotated[str | None, typer.Option(help="e.g. 98%")]
MinCompleted = Annotated[str | None, typer.Option(help="a number or a share")]
MaxNotStarted = Annotated[str | None, typer.Option(help="a number or a share")]
Acceptable = Annotated[str | None, typer.Option(help="failure gate: e.g. 1%")]
Unacceptable = Annotated[str | None, typer.Option(help="failure gate: e.g. 10%")]
OnBreach = Annotated[str | None, typer.Option(help="pause, cancel, rollback or freeze")]
Soak = Annotated[str | None, typer.Option(help="e.g. 30m")]
MaxInFlight = Annotated[int | None, typer.Option(help="devices updating at once")]
UpdateTimeout = Annotated[str | None, typer.Option(help="of one device's update: 1h")]
Window = Annotated[str | None, typer.Option(help="e.g. 01:00-05:00")]
Timezone = Annotated[str | None, typer.Option(help="of the window: Europe/Berlin")]
