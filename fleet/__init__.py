"""`fleet`: the operators' command line for the HTTP API of Fleet Rollout.

This package runs on Python 3.11 and newer and imports nothing else of the repository. Modules that
are slow to import (httpx, rich) are imported where they are used, so that a command starts fast.
"""
