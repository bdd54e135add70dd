"""Thousands of simulated devices in one process.

    command -> fleet -> mqtt_connection -> mqtt_session -> device -> the stages of device_agent
                     -> registration, sas

The MQTT client is our own: an asyncio protocol of about 80 lines per device, on the codec of the
local hub. azure-iot-device needs three threads and three open files per device and uses select(),
so it supports about 300 devices. paho-mqtt, on which it is built, and the asyncio clients on PyPI,
which wrap paho with a task per client, have the same limits. Here, one heap of timers wakes the
devices that have something to do, without a thread or a task per connection.

`shares`, `device`, `mqtt_session` and `timers` do no I/O: times and packets in, packets out.
"""
