"""A simulated device: the firmware stages as a pure machine, run on the real azure-iot-device SDK.

`stages` and what it imports need the standard library only; `device` brings the SDK, and `agent`
really downloads and installs what `timed` only lets pass.
"""
