"""Why a local cloud cannot run.

CloudError
    PortTakenError      another program holds a port: choose another port
    PartError           a part did not start, or ended before its time
    RolloutServiceError the rollout service refused a request, or cannot be reached
"""


class CloudError(RuntimeError):
    """The base of all; the message is for the person at the terminal."""

    exit_code = 1


class PortTakenError(CloudError):
    """One line for each port that is taken."""

    exit_code = 2


class PartError(CloudError):
    """The message ends with the last lines of the part's log."""


class RolloutServiceError(CloudError):
    """The message holds the problem details, if there are any."""
