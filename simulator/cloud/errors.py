"""Errors of a local cloud.

CloudError
    PortTakenError      another program listens on a port: choose another port
    ProcessError        a process did not start, or ended too early
    RolloutServiceError the rollout service refused a request, or cannot be reached
"""


class CloudError(RuntimeError):
    """The base of all; the message is for the person at the terminal."""

    exit_code = 1


class PortTakenError(CloudError):
    """Ports are taken; the message has one line for each."""

    exit_code = 2


class ProcessError(CloudError):
    """A process failed; the message ends with the last lines of its log."""


class RolloutServiceError(CloudError):
    """A request failed; the message has the problem details, if there are any."""
