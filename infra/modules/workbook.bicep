// The figures behind the alerts, in the workspace's list of workbooks.
param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspaceId, 'fleet-rollout')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Fleet Rollout'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}
