"""A simulated device: the firmware stages as a pure machine, run on the real azure-iot-device SDK.

`stages` and what it imports need the standard library only; `agent` brings the SDK.
"""
