"""The local Azure Functions host: runs an app folder's `function_app.py` as Azure would.

What is emulated, with its limits, is listed in `simulator.host.command`.
"""

from simulator.host.options import HostOptions

__all__ = ["HostOptions"]
