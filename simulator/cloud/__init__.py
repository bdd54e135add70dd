"""The local cloud: Azurite, the IoT Hub stand-in and the Functions host, as one."""
