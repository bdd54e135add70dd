"""The device's side of a firmware update, as a library to take into a product.

The agent accepts an update, downloads the package, writes it to the slot that does not run, starts
the other slot on trial, and confirms it once the new firmware has reached the hub and passed its
health check. The journal records each step before the step is taken. A device that loses power at
any moment therefore continues the update, or returns to the old firmware and reports why.

    method -> admission -> journal -> download -> other slot -> switch -> restart -> health check

A product implements the protocols in `ports`: `Storage`, `Transport`, `Clock`, `Installer`,
`Health` and `Readiness`. `disk`, `http_transport`, `clock` and `slots` implement the first four
for a device with a POSIX file system. `hub_runner` runs the agent on a connection to IoT Hub.

Read the modules in this order:

1. `stages`, `update`, `dialect`: the rules of an update, the direct method's payload, the reported
   properties. Standard library only; no I/O, no clock, no thread.
2. `ports`, `offer`, `errors`: what a product implements, and the values that pass through it.
3. `agent`, `admission`, `journal`, `update_worker`: accept an update and take it to its end.
4. `download`, `download_limits`, `response_checks`, `package_space`, `partial_package`,
   `rate_limit`, `http_transport`, `http_heads`, `http_connections`,
   `package_addresses`, `proxies`: download a package.
5. `slots`, `disk`, `clock`: implementations of the ports.
6. `hub_connection`, `hub_runner`, `credentials`, `connection_string`: the connection to IoT Hub.

Dependencies: `signed_firmware` (in `admission`), which needs cryptography, PyJWT and semver;
azure-iot-device in `hub_connection` and `hub_runner` only. Nothing here imports the simulator or
the backend.
"""
