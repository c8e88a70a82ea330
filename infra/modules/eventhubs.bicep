// The hub that exports send to, its consumer group, and on wish the hub that enriched rows go to.

@description('Name of the namespace.')
param name string

@description('Azure region.')
param location string

@description('Tags of the namespace.')
param tags object

@description('Partitions of each hub.')
param partitionCount int

@description('Throughput units to begin with.')
param throughputUnits int

@description('Throughput units at most.')
param maximumThroughputUnits int

@description('Days that events are kept.')
param eventRetentionInDays int

@description('Whether shared access keys work. With keys, the hub gets a rule that may only send.')
param allowKeys bool

@description('Whether to create the output hub.')
param forward bool

@description('Whether the namespace answers on its public endpoint to more than trusted services.')
param publicNetworkAccess bool

@description('Resource id of the workspace that logs and metrics go to.')
param workspaceResourceId string

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Standard' // Basic has no consumer groups, 256 KB events and one day of retention
    tier: 'Standard'
    capacity: throughputUnits
  }
  properties: {
    disableLocalAuth: !allowKeys
    minimumTlsVersion: '1.2'
    isAutoInflateEnabled: true
    maximumThroughputUnits: max(throughputUnits, maximumThroughputUnits)
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
  }
}

// Without a rule for an address or a network, Deny alone would keep nobody out: public access is off as well.
// Trusted services, Defender for Cloud among them, come in all the same.
resource networkRules 'Microsoft.EventHub/namespaces/networkRuleSets@2024-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    defaultAction: publicNetworkAccess ? 'Allow' : 'Deny'
    trustedServiceAccessEnabled: true
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: 'defender-export'
  properties: {
    partitionCount: partitionCount
    messageRetentionInDays: eventRetentionInDays
  }
}

// A group of its own: readers of other groups never disturb the app's checkpoints.
resource consumers 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: 'enrich'
}

resource sendRule 'Microsoft.EventHub/namespaces/eventhubs/authorizationRules@2024-01-01' = if (allowKeys) {
  parent: hub
  name: 'defender-export-send'
  properties: {
    rights: [
      'Send'
    ]
  }
}

resource forwardHub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = if (forward) {
  parent: namespace
  name: 'defender-export-rows'
  properties: {
    partitionCount: partitionCount
    messageRetentionInDays: eventRetentionInDays
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceResourceId
    logs: [
      {
        category: 'OperationalLogs'
        enabled: true
      }
      {
        category: 'RuntimeAuditLogs'
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

@description('Resource id of the namespace.')
output namespaceId string = namespace.id

@description('Name of the namespace.')
output namespaceName string = namespace.name

@description('Host name of the namespace, in whatever cloud this is: https://name.suffix:443/ without its ends.')
output fullyQualifiedNamespace string = split(replace(namespace.properties.serviceBusEndpoint, 'https://', ''), ':')[0]

@description('Resource id of the hub.')
output hubId string = hub.id

@description('Name of the hub.')
output hubName string = hub.name

@description('Name of the consumer group.')
output consumerGroup string = consumers.name

@description('Name of the output hub; empty where there is none.')
output forwardHubName string = forward ? forwardHub.name : ''
