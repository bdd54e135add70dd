"""The local Azure Functions host: runs an app folder's `function_app.py` as Azure would.

What it does as Azure does, and what it leaves out, is listed in `simulator.host.command`.
"""
