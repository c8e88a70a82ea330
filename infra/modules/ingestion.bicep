// A data collection rule: kind Direct has an ingestion endpoint of its own, so no data collection endpoint is needed.
// Ten streams and ten data flows are all that one rule takes: records have one, the app's own rows another.
// The tables must exist before it.

import { Streams, Tags } from '../types.bicep'

@description('Name of the rule.')
param name string

@description('Azure region: that of the workspace.')
param location string

@description('Tags of the rule.')
param tags Tags

@description('Stream declarations, by name of the stream: at most ten.')
param streams Streams

@description('Resource id of the workspace.')
param workspaceResourceId string

resource rule 'Microsoft.Insights/dataCollectionRules@2024-03-11' = {
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
    dataFlows: [
      for stream in objectKeys(streams): {
        streams: [
          stream
        ]
        destinations: [
          'workspace'
        ]
        transformKql: 'source'
        outputStream: stream
      }
    ]
  }
}

// A 204 only means accepted: rows that are dropped afterwards show here, in DCRLogErrors and in the metrics.
#disable-next-line use-recent-api-versions // no stable version is newer than 2016-09-01, which has no categories of its own
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

@description('Immutable id: LOGS_INGESTION_RULE_ID or LOGS_INGESTION_OWN_RULE_ID of the app.')
output immutableId string = rule.properties.immutableId

@description('Endpoint: LOGS_INGESTION_ENDPOINT or LOGS_INGESTION_OWN_ENDPOINT of the app.')
output endpoint string = rule.properties.endpoints.logsIngestion
