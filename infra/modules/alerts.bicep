// Who is woken, and when. docs/runbook.md says what to do about each alert.
param suffix string
param location string
param tags object
param workspaceId string
param email string

// `fires`: compares the number of rows that the query finds in `window` with `threshold`. Events
// are searched in 15 minutes, because telemetry may arrive some minutes late. An alert that is active
// tells nobody of a further event, so what concerns one rollout is `split` by the query's column Rollout.
var alerts = [
  {
    name: 'no-tick'
    title: 'No tick succeeded for 5 minutes'
    severity: 1
    query: loadTextContent('../alerts/no-tick.kql')
    window: 'PT5M'
    fires: 'LessThan'
    threshold: 1
    split: false
  }
  {
    name: 'table-missing'
    title: 'The table of rollouts is missing'
    severity: 1
    query: loadTextContent('../alerts/table-missing.kql')
    window: 'PT15M'
    fires: 'GreaterThan'
    threshold: 0
    split: false
  }
  {
    name: 'hub-refuses-access'
    title: 'The hub refuses the app'
    severity: 1
    query: loadTextContent('../alerts/hub-refuses-access.kql')
    window: 'PT15M'
    fires: 'GreaterThan'
    threshold: 0
    split: false
  }
  {
    name: 'gate-breach'
    title: 'Too many devices failed'
    severity: 2
    query: loadTextContent('../alerts/gate-breach.kql')
    window: 'PT15M'
    fires: 'GreaterThan'
    threshold: 0
    split: true
  }
  {
    name: 'batch-given-up'
    title: 'A batch of devices was given up'
    severity: 2
    query: loadTextContent('../alerts/batch-given-up.kql')
    window: 'PT15M'
    fires: 'GreaterThan'
    threshold: 0
    split: true
  }
  {
    name: 'daily-quota'
    title: 'The messages of the day are used up'
    severity: 3
    query: loadTextContent('../alerts/daily-quota.kql')
    window: 'PT15M'
    fires: 'GreaterThan'
    threshold: 0
    split: false
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'rollouts'
    enabled: true
    emailReceivers: [
      { name: 'on call', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: '${alert.name}-${suffix}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: alert.title
    description: 'See "${alert.name}" in docs/runbook.md.'
    severity: alert.severity
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: alert.window
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: alert.query
          dimensions: alert.split ? [{ name: 'Rollout', operator: 'Include', values: ['*'] }] : []
          timeAggregation: 'Count'
          operator: alert.fires
          threshold: alert.threshold
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(email) ? [] : [people.id] }
  }
}]
