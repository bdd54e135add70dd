// The Function App on Flex Consumption, with every setting that it reads.
param suffix string
param location string
param tags object
param identityId string
param clientId string
param storageName string
param packageUrl string
param insightsConnectionString string
param hubHostName string
param hubTier string
param hubUnits int
param quotaShare string
param dailyShare string
param retention string
param outboundAddresses string
param packageStorage string
param packageCheck string
param advanceSchedule string
param deviceQuarantine string
param publicUrl string
param trustEasyAuth string
param httpConcurrency int
param maximumInstanceCount int
param instanceMemoryMB int
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2025-05-01' = {
  // checkov:skip=CKV_AZURE_225:Not every region offers zone redundancy; a stopped app loses nothing, it goes on later
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-05-01' = {
  // checkov:skip=CKV_AZURE_222:Pipelines call the API from outside, with a function key
  // checkov:skip=CKV_AZURE_17:Callers have a function key, not a certificate
  // checkov:skip=CKV_AZURE_212:Flex Consumption starts instances by itself
  // checkov:skip=CKV_AZURE_213:Flex Consumption has no health check; the workflow asks /api/health/ready
  name: 'func-${suffix}'
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstanceCount
        instanceMemoryMB: instanceMemoryMB
        triggers: {
          http: { perInstanceConcurrency: httpConcurrency }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      appSettings: [
        { name: 'AzureWebJobsStorage__accountName', value: storageName }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: clientId }
        { name: 'AZURE_CLIENT_ID', value: clientId }
        { name: 'IOTHUB_HOSTNAME', value: hubHostName }
        { name: 'IOTHUB_TIER', value: hubTier }
        { name: 'IOTHUB_UNITS', value: string(hubUnits) }
        { name: 'ROLLOUT_QUOTA_SHARE', value: quotaShare }
        { name: 'ROLLOUT_DAILY_SHARE', value: dailyShare }
        { name: 'ROLLOUT_RETENTION', value: retention }
        { name: 'ROLLOUT_OUTBOUND_ADDRESSES', value: outboundAddresses }
        { name: 'ROLLOUT_PACKAGE_STORAGE__accountName', value: packageStorage }
        { name: 'ROLLOUT_PACKAGE_CHECK', value: packageCheck }
        { name: 'ROLLOUT_ADVANCE_SCHEDULE', value: advanceSchedule }
        { name: 'ROLLOUT_DEVICE_QUARANTINE', value: deviceQuarantine }
        { name: 'ROLLOUT_PUBLIC_URL', value: publicUrl }
        { name: 'ROLLOUT_TRUST_EASY_AUTH', value: trustEasyAuth }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insightsConnectionString }
        { name: 'PYTHON_ENABLE_OPENTELEMETRY', value: 'true' }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${clientId};Authorization=AAD' }
      ]
    }
  }
}

// Packages are deployed with Microsoft Entra ID only.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-05-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-05-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}/api'
