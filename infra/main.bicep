// Everything that the app needs on Azure: `azd up` deploys it. docs/azure.md explains the parameters.
targetScope = 'subscription'

@description('Name of the azd environment; part of the names of the resources.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of all resources but an existing hub.')
param location string

// The hub.

@description('Name of an existing IoT Hub of this subscription; empty: a hub is created.')
param hubName string = ''

@description('Resource group of the existing hub; empty: the resource group of the app.')
param hubResourceGroup string = ''

@description('Tier of the hub: a new hub gets it, and the app keeps to its quotas.')
@allowed(['F1', 'S1', 'S2', 'S3'])
param hubTier string = 'S1'

@description('Number of units of the hub.')
@minValue(1)
@maxValue(200)
param hubUnits int = 1

// The app. An empty value leaves the default of the app, see "Settings" in README.md.

@description('ROLLOUT_QUOTA_SHARE: the share of the hub\'s rates that rollouts may use.')
param quotaShare string = ''

@description('ROLLOUT_DAILY_SHARE: the share of the hub\'s messages of a day that rollouts may use.')
param dailyShare string = ''

@description('ROLLOUT_RETENTION: how long ended rollouts are kept, such as P400D.')
param retention string = ''

@description('ROLLOUT_OUTBOUND_ADDRESSES: which addresses webhooks may have.')
param outboundAddresses string = ''

@description('Name of an existing storage account with packages, to which the app makes links; empty: none.')
param packageStorage string = ''

@description('Resource group of the account with the packages; empty: the resource group of the app.')
param packageStorageResourceGroup string = ''

@description('ROLLOUT_PACKAGE_CHECK: whether plans look packages up, true or false.')
param packageCheck string = ''

@description('ROLLOUT_ADVANCE_SCHEDULE: how often rollouts advance, as NCRONTAB.')
param advanceSchedule string = ''

@description('ROLLOUT_DEVICE_QUARANTINE: off, or a rule such as "3 in P30D".')
param deviceQuarantine string = ''

@description('ROLLOUT_PUBLIC_URL: the URL that callers see, behind API Management or Front Door.')
param publicUrl string = ''

@description('ROLLOUT_TRUST_EASY_AUTH: true where App Service authentication is on.')
param trustEasyAuth string = ''

// Scale.

@description('HTTP requests that one instance handles at the same time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('Most instances of each function group: HTTP, the timer, and each queue.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance in MB.')
@allowed([2048, 4096])
param instanceMemoryMB int = 2048

// Protection and watching.

@description('Redundancy of the storage account, which holds all rollouts.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageRedundancy string = 'Standard_ZRS'

@description('Whether a lock keeps the storage account from being deleted.')
param lockStorage bool = true

@description('Whether storage is reachable through private endpoints only.')
param privateNetwork bool = false

@description('Who is told of alerts; empty: alerts are shown in the portal only.')
param alertEmail string = ''

var tags = { 'azd-env-name': environmentName }
var suffix = uniqueString(subscription().id, environmentName, location)
var groupName = 'rg-${environmentName}'
var hubGroup = empty(hubResourceGroup) ? groupName : hubResourceGroup

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: 'id-${suffix}', location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: { suffix: suffix, location: location, tags: tags, storageName: storage.outputs.name }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${suffix}'
    location: location
    tags: tags
    redundancy: storageRedundancy
    isPrivate: privateNetwork
    isLocked: lockStorage
    principalId: identity.outputs.principalId
  }
}

module newHub 'modules/hub.bicep' = if (empty(hubName)) {
  name: 'hub'
  scope: group
  params: {
    name: 'iot-${suffix}'
    location: location
    tags: tags
    tier: hubTier
    units: hubUnits
  }
}

module hubAccess 'modules/hub-access.bicep' = {
  name: 'hub-access'
  scope: resourceGroup(hubGroup)
  params: {
    hubName: empty(hubName) ? newHub.outputs.name : hubName
    principalId: identity.outputs.principalId
  }
}

module packageAccess 'modules/package-access.bicep' = if (!empty(packageStorage)) {
  name: 'package-access'
  scope: resourceGroup(empty(packageStorageResourceGroup) ? groupName : packageStorageResourceGroup)
  params: {
    storageName: packageStorage
    principalId: identity.outputs.principalId
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageUrl: storage.outputs.packageUrl
    insightsConnectionString: monitoring.outputs.connectionString
    hubHostName: hubAccess.outputs.hostName
    hubTier: hubTier
    hubUnits: hubUnits
    quotaShare: quotaShare
    dailyShare: dailyShare
    retention: retention
    outboundAddresses: outboundAddresses
    packageStorage: packageStorage
    packageCheck: packageCheck
    advanceSchedule: advanceSchedule
    deviceQuarantine: deviceQuarantine
    publicUrl: publicUrl
    trustEasyAuth: trustEasyAuth
    httpConcurrency: httpConcurrency
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    email: alertEmail
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: { location: location, tags: tags, workspaceId: monitoring.outputs.workspaceId }
}

output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_APP_NAME string = app.outputs.name
output SERVICE_APP_URL string = app.outputs.url
output STORAGE_ACCOUNT_NAME string = storage.outputs.name
output WORKSPACE_ID string = monitoring.outputs.workspaceCustomerId
