// A hub, if there is none yet. Devices connect to it from everywhere.
param name string
param location string
param tags object
param tier string
param units int

resource hub 'Microsoft.Devices/IotHubs@2023-06-30' = {
  name: name
  location: location
  tags: tags
  sku: { name: tier, capacity: units }
  properties: {
    minTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

output name string = hub.name
