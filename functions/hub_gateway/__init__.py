"""The way to the IoT Hub: `port` says what is needed, `iot_hub` does it through the SDK."""
