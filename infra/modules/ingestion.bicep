// The data collection rule: kind Direct has an ingestion endpoint of its own, so no data collection endpoint is needed.
// Ten streams and ten data flows are all that one rule takes.

@description('Name of the rule.')
param name string

@description('Azure region: that of the workspace.')
param location string

@description('Tags of the rule.')
param tags object

@description('Resource id of the workspace.')
param workspaceResourceId string

@description('Names of the tables, which must exist before the rule.')
param tableNames array

var streams = loadJsonContent('../generated/streams.json')

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: name
  location: location
  tags: tags
  kind: 'Direct'
  properties: {
    streamDeclarations: streams
    destinations: {
      logAnalytics: [
        {
          name: 'workspace'
          workspaceResourceId: workspaceResourceId
        }
      ]
    }
    dataFlows: [for tableName in tableNames: {
      streams: [
        'Custom-${tableName}'
      ]
      destinations: [
        'workspace'
      ]
      transformKql: 'source'
      outputStream: 'Custom-${tableName}'
    }]
  }
}

// A 204 only means accepted: rows that are dropped afterwards show here, in DCRLogErrors and in the metrics.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: rule
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceResourceId
    logs: [
      {
        category: 'LogErrors'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

@description('Name of the rule.')
output name string = rule.name

@description('Immutable id: LOGS_INGESTION_RULE_ID of the app.')
output immutableId string = rule.properties.immutableId

@description('Endpoint: LOGS_INGESTION_ENDPOINT of the app.')
output endpoint string = rule.properties.endpoints.logsIngestion
