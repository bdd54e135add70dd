"""Declare the options that describe a strategy, for new rollouts and for changes of open ones."""

from typing import Annotated

import typer

SuccessShare = Annotated[
    str | None, typer.Option(help="share of a wave's devices that must complete, such as 98%")
]
MinCompleted = Annotated[
    str | None, typer.Option(help="a number or share of a wave that must complete")
]
MaxNotStarted = Annotated[
    str | None,
    typer.Option(help="devices of a wave that may be unreachable or refuse, a number or a share"),
]
Acceptable = Annotated[
    str | None, typer.Option(help="failure gate: acceptable failure rate, such as 1%")
]
Unacceptable = Annotated[
    str | None, typer.Option(help="failure gate: unacceptable failure rate, such as 10%")
]
OnBreach = Annotated[str | None, typer.Option(help="pause, cancel, rollback or freeze")]
Soak = Annotated[
    str | None, typer.Option(help="how long a completed device must stay healthy, such as 30m")
]
MaxInFlight = Annotated[int | None, typer.Option(help="devices updating at once")]
UpdateTimeout = Annotated[str | None, typer.Option(help="of one device's update, such as 1h")]
Window = Annotated[str | None, typer.Option(help="maintenance window, such as 01:00-05:00")]
Timezone = Annotated[str | None, typer.Option(help="of the window, such as Europe/Berlin")]
