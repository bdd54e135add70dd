"""Options of a simulated fleet, as the command `fleet` reads them."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from simulator.connection_strings import service_connection_string
from simulator.listeners import ADDRESS, HUB_HTTPS, HUB_MQTT
from simulator.shared_options import HubAuthority, StageSeconds, port_option
from simulator.simulated_fleet.shares import Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """The devices of a fleet, and the hub that they connect to."""

    devices: Annotated[int, typer.Option(help="Number of devices.", min=1)] = 100
    prefix: Annotated[
        str, typer.Option(help="Device ids are this text and a number from 1 on.")
    ] = "light-"
    shares: Shares
    offline_seconds: Annotated[
        float,
        typer.Option(help="Seconds that devices of --offline are away, then connected.", min=0.1),
    ] = 60
    seed: Annotated[int, typer.Option(help="Chooses those devices.")] = 1
    stage_seconds: StageSeconds = 15
    connection_string: Annotated[
        str,
        typer.Option(
            envvar="IOTHUB_CONNECTION_STRING",
            help="The service's, with a policy that may register devices.",
            show_default="the local hub's",
        ),
    ] = field(default=service_connection_string(ADDRESS, HUB_HTTPS.port), repr=False)
    mqtt_port: Annotated[int, port_option(HUB_MQTT)] = HUB_MQTT.port
    ca: HubAuthority = None

    @property
    def device_ids(self) -> list[str]:
        """`{prefix}1`, `{prefix}2`, ..."""
        return [f"{self.prefix}{number}" for number in range(1, self.devices + 1)]
