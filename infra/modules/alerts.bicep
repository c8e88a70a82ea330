// One log alert per file of infra/alerts/, generated into one list: python -m tools.infra. docs/operate.md says what to do about each.

import { Tags } from '../types.bicep'

@description('Name of the deployment, for the titles.')
param environmentName string

@description('INSTANCE_ID of the app, for its own rows.')
param instanceId string

@description('Azure region: that of the workspace.')
param location string

@description('Tags of every rule.')
param tags Tags

@description('Resource id of the workspace that is asked.')
param workspaceResourceId string

@description('Name of the Event Hubs namespace, for its own metrics.')
param namespaceName string

@description('Names of the data collection rules, of records and of the app\'s own rows, for their errors.')
param ruleNames string[]

@description('Name of the Application Insights component, for its own requests and metrics.')
param insightsName string

@description('Address of the function app, for the link to the operations page.')
param appUrl string

@description('Tables of plan Basic, which no alert may ask: rules over them are left out, since they would never fire.')
param basicTables string[]

@description('Mail addresses to tell.')
param emails string[]

@description('Existing action groups to tell.')
param actionGroupIds string[]

@description('Whether the rule that sends notices by mail is on.')
param mailNotices bool

var definitions = loadJsonContent('../generated/alerts.json')
var rules = filter(definitions.alerts, item => empty(intersection(item.reads, basicTables)))

// Several deployments may share one workspace: each rule asks about its own.
var own = {
  '{InstanceId}': instanceId
  '{Namespace}': namespaceName
  '{Rule}': ruleNames[0]
  '{OwnRule}': ruleNames[1]
  '{Insights}': insightsName
}

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-defender-export-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'defexport'
    enabled: true
    emailReceivers: [
      for address in emails: {
        name: address
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for item in rules: {
    name: 'defender-export-${environmentName}-${item.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Defender Export (${environmentName}): ${item.title}'
      description: item.description
      severity: item.severity
      enabled: item.name != 'notice' || mailNotices
      evaluationFrequency: item.every
      windowSize: item.window
      scopes: [
        workspaceResourceId
      ]
      criteria: {
        allOf: [
          {
            query: reduce(items(own), string(item.query), (text, one) => replace(string(text), one.key, one.value))
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: map(item.dimensions, name => {
              name: string(name)
              operator: 'Include'
              values: [
                '*'
              ]
            })
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
        customProperties: {
          deployment: environmentName
          runbook: item.runbook
          page: '${appUrl}/api/operations'
        }
        actionGroups: empty(emails)
          ? actionGroupIds
          : union(actionGroupIds, [
              mail.id
            ])
      }
    }
  }
]
