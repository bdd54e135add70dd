"""Many light simulated devices in one process.

    cli -> command -> fleet -> link -> session -> device -> the stages of device_agent
                            -> registration, sas

The MQTT client is our own: an asyncio protocol of some 80 lines for each device, on the codec that
the local hub has anyway. azure-iot-device takes three threads and three open files for a device
and select(), so about 300 devices; paho-mqtt below it is built the same way, and the asyncio
clients on PyPI are paho with a task per client. Five thousand connections want neither threads
nor tasks: one timer heap wakes the devices that have something to do.

`shares`, `device`, `session` and `timers` are pure: times and packets in, packets out.
"""
