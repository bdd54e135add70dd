// One scenario with Microsoft's unchanged Node SDKs. It judges nothing: what was seen goes to
// standard output as one JSON object, by topic, and the Python tests beside it say what is right.
// Arguments: the service's connection string, without a port, as that SDK takes it.
'use strict';

const iothub = require('azure-iothub');
const iotDevice = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const service = process.argv[2];
const host = /HostName=([^;]+)/.exec(service)[1];
const registry = iothub.Registry.fromConnectionString(service);
const caller = iothub.Client.fromConnectionString(service);
const jobs = iothub.JobClient.fromConnectionString(service);
const seen = {};

const until = async (condition, milliseconds = 10000) => {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const refusal = (call) => call().then(() => 'not refused', (error) => ({
  name: error.name,
  status: error.response && error.response.statusCode,
}));

const result = async (call) => {
  const response = await call;
  return response.responseBody || response.result || response.jobStatus;
};

const register = async (deviceId) => {
  const device = await result(registry.create({ deviceId, status: 'enabled' }));
  const key = device.authentication.symmetricKey.primaryKey;
  return `HostName=${host};DeviceId=${deviceId};SharedAccessKey=${key}`;
};

const twinOf = (client) => new Promise((resolve, reject) =>
  client.getTwin((error, twin) => (error ? reject(error) : resolve(twin))));

const respondToMethods = (client, name) => client.onDeviceMethod(name, (request, response) =>
  response.send(200, { got: request.payload }));

const call = (deviceId, methodName, payload, responseTimeoutInSeconds = 10) =>
  result(caller.invokeDeviceMethod(deviceId, { methodName, payload, responseTimeoutInSeconds }));

async function identities() {
  await register('first');
  const first = await result(registry.get('first'));
  first.status = 'disabled';
  first.statusReason = 'lost';
  const updated = await result(registry.update(first));
  const bulk = await result(registry.addDevices([{ deviceId: 'second' }, { deviceId: 'third' }]));
  const again = await refusal(() => registry.create({ deviceId: 'first' }));
  await registry.delete('third');
  return {
    updated: [updated.deviceId, updated.status, updated.statusReason],
    bulk: bulk.isSuccessful,
    listed: (await result(registry.list())).map((device) => device.deviceId).sort(),
    again,
    unknown: await refusal(() => registry.get('third')),
    statistics: await result(registry.getRegistryStatistics()),
  };
}

async function modules() {
  await register('with-module');
  await registry.addModule({ deviceId: 'with-module', moduleId: 'camera' });
  const module = await result(registry.getModule('with-module', 'camera'));
  const key = module.authentication.symmetricKey.primaryKey;
  const client = iotDevice.ModuleClient.fromConnectionString(
    `HostName=${host};DeviceId=with-module;ModuleId=camera;SharedAccessKey=${key}`, Mqtt);
  await client.open();
  client.onMethod('echo', (request, response) => response.send(200, { got: request.payload }));
  const twin = await twinOf(client);
  const desired = [];
  twin.on('properties.desired', (delta) => desired.push(delta));
  await new Promise((resolve, reject) => twin.properties.reported.update(
    { fps: 5 }, (error) => (error ? reject(error) : resolve())));
  await registry.updateModuleTwin(
    'with-module', 'camera', { properties: { desired: { fps: 9 } } }, '*');
  await until(() => desired.some((delta) => delta.fps === 9));
  let response;
  await until(async () => {
    response = await caller.invokeDeviceMethod('with-module', 'camera', { methodName: 'echo', payload: { a: 1 } })
      .then((reply) => reply.result || reply.responseBody, () => undefined);
    return response;
  });
  const rows = await result(
    registry.createQuery('SELECT * FROM devices.modules', 10).nextAsTwin());
  const twinAfter = await result(registry.getModuleTwin('with-module', 'camera'));
  await client.close();
  return {
    listed: (await result(registry.getModulesOnDevice('with-module'))).map((one) => one.moduleId),
    reported: twinAfter.properties.reported.fps,
    response,
    queried: rows.map((row) => [row.deviceId, row.moduleId]),
  };
}

async function twins(client) {
  const twin = await twinOf(client);
  const deltas = [];
  twin.on('properties.desired', (delta) => deltas.push(delta));
  const serviceTwin = await result(registry.getTwin('device'));
  await serviceTwin.update({ tags: { site: 'berlin' }, properties: { desired: { a: { b: 1 } } } });
  await until(() => deltas.some((delta) => delta.a));
  await new Promise((resolve, reject) => twin.properties.reported.update(
    { c: [1, 2], d: 'x' }, (error) => (error ? reject(error) : resolve())));
  const after = await result(registry.getTwin('device'));
  const refused = await new Promise((resolve) => twin.properties.reported.update(
    { 'a.b': 1 }, (error) => resolve(error ? error.name : 'not refused')));
  return {
    delta: deltas.find((delta) => delta.a).a,
    tags: after.tags,
    reported: [after.properties.reported.c, after.properties.reported.d],
    versions: [after.properties.desired.$version, after.properties.reported.$version],
    stale: await refusal(() => registry.updateTwin('device', { tags: {} }, serviceTwin.deviceEtag)),
    refused,
  };
}

async function methods(client) {
  respondToMethods(client, 'echo');
  client.onDeviceMethod('silent', () => {});
  await until(async () => (await refusal(() => call('device', 'echo'))) === 'not refused');
  const [response, nothing, silent, offline, unknown] = await Promise.all([
    call('device', 'echo', { a: 1 }),
    call('device', 'echo', null),
    refusal(() => call('device', 'silent', {}, 5)),
    refusal(() => call('second', 'echo')),
    refusal(() => call('nowhere', 'echo')),
  ]);
  return { response, nothing, silent, offline, unknown };
}

async function reconnect(client) {
  await client.close();
  const offline = await refusal(() => call('device', 'echo'));
  await client.open();
  let response;
  await until(async () => {
    response = await call('device', 'echo', 'again').catch(() => undefined);
    return response;
  });
  return { offline, response };
}

async function renewal() {
  const connectionString = await register('renewing');
  const provider = iotDevice.SharedAccessKeyAuthenticationProvider.fromConnectionString(
    connectionString, 2, 1);
  const client = iotDevice.Client.fromAuthenticationProvider(provider, Mqtt);
  let disconnects = 0;
  client.on('disconnect', () => { disconnects += 1; });
  await client.open();
  respondToMethods(client, 'echo');
  await until(async () => (await refusal(() => call('renewing', 'echo'))) === 'not refused');
  await new Promise((resolve) => setTimeout(resolve, 3200));
  let response;
  await until(async () => {
    response = await call('renewing', 'echo', 'later').catch(() => undefined);
    return response;
  });
  await client.close();
  return { response, disconnects };
}

async function queries() {
  const query = registry.createQuery('SELECT * FROM devices', 2);
  const pages = [];
  do pages.push((await result(query.nextAsTwin())).map((twin) => twin.deviceId));
  while (query.hasMoreResults);
  const raw = registry.createQuery('SELECT COUNT() AS total FROM devices');
  const wrong = registry.createQuery('SELECT * FROM devices WHERE a = = 1');
  return {
    sizes: pages.map((page) => page.length),
    ids: pages.flat(),
    count: await result(raw.next()),
    wrong: await refusal(() => wrong.next()),
  };
}

async function scheduled() {
  const created = await result(jobs.scheduleTwinUpdate(
    'twin-job', "deviceId IN ['device', 'second']", { etag: '*', tags: { job: 1 } }, new Date(), 60));
  const status = async (id) => (await result(jobs.getJob(id))).status;
  await until(async () => (await status('twin-job')) === 'completed');
  await result(jobs.scheduleDeviceMethod(
    'method-job', "deviceId = 'device'", { methodName: 'echo', payload: { a: 1 } }, new Date(), 60));
  await until(async () => (await status('method-job')) === 'completed');
  await jobs.scheduleTwinUpdate(
    'later', '*', { etag: '*', tags: {} }, new Date(Date.now() + 3600000), 60);
  const before = await status('later');
  await jobs.cancelJob('later');
  const listed = await result(jobs.createQuery('scheduleUpdateTwin', 'completed').next());
  const rows = registry.createQuery("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'method-job'");
  return {
    created: [created.jobId, created.status],
    tags: (await result(registry.getTwin('second'))).tags,
    later: [before, await status('later')],
    listed: listed.map((job) => job.jobId),
    outcome: (await result(rows.next()))[0].outcome,
    unknown: await refusal(() => jobs.getJob('nowhere')),
  };
}

async function configurations() {
  const id = 'node-configuration';
  await registry.addConfiguration({
    id,
    content: { deviceContent: { 'properties.desired.configured': { by: id } } },
    targetCondition: "deviceId = 'second'",
    priority: 3,
    metrics: { queries: {} },
  });
  const desired = async () => (await result(registry.getTwin('second'))).properties.desired;
  await until(async () => (await desired()).configured);
  const stored = await result(registry.getConfiguration(id));
  stored.priority = 4;
  await registry.updateConfiguration(stored);
  const listed = await result(registry.getConfigurations());
  await registry.removeConfiguration(id);
  await until(async () => !(await desired()).configured);
  return {
    listed: listed.map((one) => [one.id, one.priority]),
    unknown: await refusal(() => registry.getConfiguration(id)),
  };
}

async function main() {
  const renewing = renewal();
  const connectionString = await register('device');
  const client = iotDevice.Client.fromConnectionString(connectionString, Mqtt);
  await client.open();
  seen.identities = await identities();
  seen.modules = await modules();
  seen.twins = await twins(client);
  seen.methods = await methods(client);
  seen.reconnect = await reconnect(client);
  seen.queries = await queries();
  seen.jobs = await scheduled();
  seen.configurations = await configurations();
  seen.renewal = await renewing;
  await client.close();
}

main().then(
  () => { process.stdout.write(JSON.stringify(seen)); process.exit(0); },
  (error) => {
    process.stderr.write(`after ${Object.keys(seen)}: ${error.stack} ${error.responseBody || ''}\n`);
    process.exit(1);
  },
);
