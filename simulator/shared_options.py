"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from simulator.listeners import Listener

_LAST_PORT = 65535

Address = Annotated[
    str, typer.Option(envvar="FLEET_ADDRESS", help="The loopback address to listen on.")
]
StageSeconds = Annotated[
    float, typer.Option(help="Length of each stage of an update on a device, in seconds.", min=0)
]
HubAuthority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        help="The certificate of the hub's authority, PEM.",
        show_default="the local hub's if HostName is this machine, else the system's",
        exists=True,
        dir_okay=False,
    ),
]


def port_option(listener: Listener, *, any_free: bool = False, note: str = "") -> OptionInfo:
    """Return the option that sets a listener's port; with `any_free`, 0 takes any free port."""
    notes = (note, "0 takes any free port." if any_free else "")
    text = " ".join((f"Port of {listener.name}.", *filter(None, notes)))
    option: OptionInfo = typer.Option(
        envvar=listener.variable, help=text, min=0 if any_free else 1, max=_LAST_PORT
    )
    return option
