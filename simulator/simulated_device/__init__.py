"""Simulated devices on the real azure-iot-device SDK, of two kinds.

`device` only simulates updates: each stage takes some time and installs nothing. `installing` runs
the device agent, which downloads and installs; only the restart, the bootloader, the health of the
firmware and requested faults are simulated.
"""
