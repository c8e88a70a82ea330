// What one identity may do inside the app's resource group, each with its reason. No right reaches beyond a resource.

import { ContainerNames, PrincipalType } from '../types.bicep'

@description('Resource id of the app\'s identity: known before it exists, so the names of its assignments are made of it.')
param identityId string

@description('Object id of the app\'s identity.')
param principalId string

@description('all: one app runs everything. control: it leaves the hub to another. data: it has the hub, and no export.')
@allowed([
  'all'
  'control'
  'data'
])
param role string

@description('Name of the app\'s own storage account: that of its host, its package and what only it stores.')
param storageAccountName string

@description('Name of the account that holds dead letters, oversize records and what was seen.')
param dataStorageAccountName string

@description('Name of the Event Hubs namespace.')
param namespaceName string

@description('Name of the hub that is read.')
param hubName string

@description('Name of the output hub; empty where there is none.')
param forwardHubName string

@description('Names of the data collection rules.')
param ruleNames string[]

@description('Name of the Application Insights component.')
param insightsName string

@description('Object id of \'Windows Azure Security Resource Provider\'; empty assigns it nothing.')
param securityProviderPrincipalId string = ''

@description('Object id of who operates the app; empty assigns nobody.')
param operatorPrincipalId string = ''

@description('Kind of that principal.')
param operatorPrincipalType PrincipalType = 'Group'

@description('Container names by use.')
param containerNames ContainerNames

var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var storageQueueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
var storageTableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var eventHubsDataReceiver = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
var eventHubsDataSender = '2b629674-e913-4c01-ae53-ef4638d8f975'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-06-01' existing = {
  parent: account
  name: 'default'
}

resource exports 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' existing = {
  parent: blobs
  name: containerNames.exports
}

resource reports 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' existing = {
  parent: blobs
  name: containerNames.reports
}

resource dataAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: dataStorageAccountName
}

resource dataBlobs 'Microsoft.Storage/storageAccounts/blobServices@2026-06-01' existing = {
  parent: dataAccount
  name: 'default'
}

resource oversize 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' existing = {
  parent: dataBlobs
  name: containerNames.oversize
}

resource dataTables 'Microsoft.Storage/storageAccounts/tableServices@2026-06-01' existing = {
  parent: dataAccount
  name: 'default'
}

resource freshness 'Microsoft.Storage/storageAccounts/tableServices/tables@2026-06-01' existing = {
  parent: dataTables
  name: 'freshness'
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' existing = {
  parent: dataBlobs
  name: containerNames.deadLetters
}

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' existing = {
  parent: namespace
  name: hubName
}

resource forwardHub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' existing = {
  parent: namespace
  name: empty(forwardHubName) ? hubName : forwardHubName
}

resource rules 'Microsoft.Insights/dataCollectionRules@2024-03-11' existing = [
  for name in ruleNames: {
    name: name
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource blobOwner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, identityId, storageBlobDataOwner)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    description: role == 'data'
      ? 'The host keeps leases and checkpoints, the app dead letters and oversize records; its package lies here too.'
      : 'The host keeps leases and checkpoints, the app export files, reports and dead letters; the package lies here too.'
  }
}

resource queueContributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, identityId, storageQueueDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageQueueDataContributor)
    description: role == 'data'
      ? 'The host keeps messages about blobs and queues that it watches.'
      : 'Job messages: the API sends them, run_job takes them, and the host moves what fails to the poison queue.'
  }
}

resource tableContributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, identityId, storageTableDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
    description: role == 'data'
      ? 'When each subscription last sent each kind; the host writes diagnostic events.'
      : 'State of jobs, and when each subscription last sent each kind; the host writes diagnostic events.'
  }
}

// Beside another app: what waits there, and what was seen, is read and replayed from here too.
resource replaysLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (role == 'control') {
  scope: deadLetters
  name: guid(deadLetters.id, identityId, storageBlobDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    description: 'The API counts dead letters and a job replays them; rows of runs that can not be uploaded are kept there.'
  }
}

resource keepsWhole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (role == 'control') {
  scope: oversize
  name: guid(oversize.id, identityId, storageBlobDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    description: 'A backfill keeps the whole of a record whose row had to be cut.'
  }
}

resource notesFreshness 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (role == 'control') {
  scope: freshness
  name: guid(freshness.id, identityId, storageTableDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
    description: 'check_freshness reads when each subscription last sent each kind, and notes what it compared.'
  }
}

resource receiver 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (role != 'control') {
  scope: hub
  name: guid(hub.id, identityId, eventHubsDataReceiver)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventHubsDataReceiver)
    description: 'enrich_records reads the hub.'
  }
}

resource forwarder 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(forwardHubName)) {
  scope: forwardHub
  name: guid(forwardHub.id, identityId, eventHubsDataSender)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventHubsDataSender)
    description: 'Enriched rows go to the output hub.'
  }
}

resource publishers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in ruleNames: {
    scope: rules[index]
    name: guid(rules[index].id, identityId, monitoringMetricsPublisher)
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
      description: 'Uploads rows through the rule. It can take 30 minutes to work; until then rows wait as dead letters.'
    }
  }
]

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, identityId, monitoringMetricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    description: 'Sends telemetry without an instrumentation key.'
  }
}

resource securityProvider 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(securityProviderPrincipalId)) {
  scope: hub
  name: guid(hub.id, securityProviderPrincipalId, eventHubsDataSender)
  properties: {
    principalId: securityProviderPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventHubsDataSender)
    description: 'Defender for Cloud sends exported data to the hub as a trusted service.'
  }
}

resource operatorPushes 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: exports
  name: guid(exports.id, operatorPrincipalId, storageBlobDataContributor)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    description: 'defender-export push writes export files.'
  }
}

resource operatorReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: reports
  name: guid(reports.id, operatorPrincipalId, storageBlobDataReader)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataReader)
    description: 'Reports of runs are read by who operates the app.'
  }
}

resource operatorInspects 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: deadLetters
  name: guid(deadLetters.id, operatorPrincipalId, storageBlobDataReader)
  properties: {
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataReader)
    description: 'Dead letters are looked at by who operates the app.'
  }
}
