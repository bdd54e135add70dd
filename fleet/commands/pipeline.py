"""The command that the GitHub action and the Azure Pipelines template run."""

from fleet.exit_codes import ExitCode
from fleet.session import Session


def pipeline(session: Session) -> ExitCode:
    """Plan, create and wait in a build, and show what comes of it. FLEET_INPUT_* say how."""
    from fleet.pipeline.inputs import Inputs
    from fleet.pipeline.platforms import detect
    from fleet.pipeline.run import Build

    return Build(session, Inputs(), detect()).run()
