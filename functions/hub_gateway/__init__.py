"""Call the IoT Hub: `port` says what the use cases need, `iot_hub` implements it with the SDK."""
