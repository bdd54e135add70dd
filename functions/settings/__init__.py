"""The app's settings.

Azure passes app settings to the worker as environment variables; Core Tools and the local host
pass `Values` of local.settings.json.
"""
