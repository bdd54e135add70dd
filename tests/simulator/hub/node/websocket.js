// MQTT over WebSocket with Microsoft's unchanged Node device SDK. Judges nothing: what was seen
// goes to standard output as JSON. Argument: a device's connection string.
'use strict';

const { Client, Message } = require('azure-iot-device');
const { MqttWs } = require('azure-iot-device-mqtt');

async function main() {
  const client = Client.fromConnectionString(process.argv[2], MqttWs);
  await client.open();
  client.on('error', () => {});
  const twin = await client.getTwin();
  await new Promise((resolve, reject) =>
    twin.properties.reported.update({ over: 'websocket' }, (error) =>
      (error ? reject(error) : resolve())));
  const message = new Message('x'.repeat(100000));
  await client.sendEvent(message);
  client.onDeviceMethod('end', async (request, response) => {
    await response.send(200, { got: request.payload });
    await client.close();
    process.stdout.write(JSON.stringify({ version: twin.properties.reported.$version }));
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
