// The hub that exports send to, its consumer group, and on wish the hub that enriched rows go to.

import { Tags } from '../types.bicep'

@description('Name of the namespace.')
param name string

@description('Azure region.')
param location string

@description('Tags of the namespace.')
param tags Tags

@description('Name of the hub that is read.')
param hubName string

@description('Name of the output hub; empty creates none.')
param forwardHubName string

@description('Name of the app\'s consumer group.')
param consumerGroup string

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

@description('Whether the namespace answers on its public endpoint to more than trusted services.')
param publicNetworkAccess bool

@description('Whether it is locked against deletion.')
param lock bool

@description('Resource id of the workspace that logs and metrics go to.')
param workspaceResourceId string

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
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
    maximumThroughputUnits: maximumThroughputUnits
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
  }
}

// Without a rule for an address or a network, Deny alone would keep nobody out: public access is off as well.
// Trusted services, Defender for Cloud among them, come in all the same.
resource networkRules 'Microsoft.EventHub/namespaces/networkRuleSets@2026-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    defaultAction: publicNetworkAccess ? 'Allow' : 'Deny'
    trustedServiceAccessEnabled: true
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = {
  parent: namespace
  name: hubName
  properties: {
    partitionCount: partitionCount
    messageRetentionInDays: eventRetentionInDays
  }
}

// A group of its own: readers of other groups never disturb the app's checkpoints.
resource consumers 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = {
  parent: hub
  name: consumerGroup
}

resource sendRule 'Microsoft.EventHub/namespaces/eventhubs/authorizationRules@2026-01-01' = if (allowKeys) {
  parent: hub
  name: 'defender-export-send'
  properties: {
    rights: [
      'Send'
    ]
  }
}

resource forwardHub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = if (!empty(forwardHubName)) {
  parent: namespace
  name: forwardHubName
  properties: {
    partitionCount: partitionCount
    messageRetentionInDays: eventRetentionInDays
  }
}

#disable-next-line use-recent-api-versions // no stable version is newer than 2016-09-01, which has no categories of its own
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
        category: 'DiagnosticErrorLogs' // throttled and refused senders; who sends is logged on Premium only
        enabled: true
      }
      {
        category: 'AutoScaleLogs'
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

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  scope: namespace
  name: 'keep'
  properties: {
    level: 'CanNotDelete'
    notes: 'Events that are not read yet.'
  }
}

@description('Host name of the namespace, in whatever cloud this is: https://name.suffix:443/ without its ends.')
output fullyQualifiedNamespace string = split(replace(namespace.properties.serviceBusEndpoint, 'https://', ''), ':')[0]
