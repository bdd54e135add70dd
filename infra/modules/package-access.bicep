// Lets the app make links to packages in an existing storage account.
param storageName string
param principalId string

var storageBlobDelegator = 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource packageStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource linkAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(packageStorage.id, principalId, storageBlobDelegator)
  scope: packageStorage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDelegator)
  }
}

resource readAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(packageStorage.id, principalId, storageBlobDataReader)
  scope: packageStorage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataReader)
  }
}
