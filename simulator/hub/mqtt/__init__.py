"""MQTT 3.1.1 as IoT Hub implements it: decoding, encoding <- session <- connection."""
