// One log alert per file of infra/alerts/, generated into one list: python -m tools.infra. docs/operate.md says what to do about each.

@description('Name of the deployment, for the titles.')
param environmentName string

@description('Azure region: that of the workspace.')
param location string

@description('Tags of every rule.')
param tags object

@description('Resource id of the workspace that is asked.')
param workspaceResourceId string

@description('Mail addresses to tell.')
param emails array

@description('Existing action groups to tell.')
param actionGroupIds array

var definitions = loadJsonContent('../generated/alerts.json')

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-defender-export-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'defexport'
    enabled: true
    emailReceivers: [for address in emails: {
      name: address
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for item in definitions.alerts: {
  name: 'defender-export-${environmentName}-${item.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Defender Export (${environmentName}): ${item.title}'
    description: item.description
    severity: item.severity
    enabled: true
    evaluationFrequency: item.every
    windowSize: item.window
    scopes: [
      workspaceResourceId
    ]
    criteria: {
      allOf: [
        {
          query: item.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true // Azure's own tables are unknown in a new workspace until their first row
    actions: {
      actionGroups: empty(emails) ? actionGroupIds : union(actionGroupIds, [
        mail.id
      ])
    }
  }
}]
