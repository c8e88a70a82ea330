targetScope = 'subscription'

// One deployment: a resource group with the app, its storage, its hub, and what is watched about it.
// The rights over the tenant's subscriptions are a deployment of their own: management-group.bicep.

@description('Names this deployment: part of every resource name, and of the ownership tags of the exports it manages. Two deployments in one tenant need two names.')
@minLength(2)
@maxLength(20)
param environmentName string

@description('Azure region of every resource. An existing workspace must lie in this region too, because a data collection rule must.')
param location string

@description('Name of the resource group that is created.')
param resourceGroupName string = 'rg-defender-export-${environmentName}'

@description('Tags on every resource.')
param tags object = {}

@description('Resource id of an existing Log Analytics workspace; empty creates one. The deploying user needs Log Analytics Contributor on it.')
param workspaceResourceId string = ''

@description('Plan of the tables. Analytics is what functions, alerts and the workbook need; Basic and Auxiliary are cheaper to fill and limited to ask.')
@allowed([
  'Analytics'
  'Basic'
  'Auxiliary'
])
param tablePlan string = 'Analytics'

@description('Plans of single tables, by table name, where they differ from tablePlan. A query can not join a Basic or Auxiliary table of records with the others, so DefenderRecords_All, and the alert and panels on delay, need all of them on Analytics.')
param tablePlans object = {}

@description('Days that rows stay interactively queryable, for tables of plan Analytics (4 to 730).')
@minValue(4)
@maxValue(730)
param retentionInDays int = 90

@description('Days that rows are kept in all, long-term retention included (4 to 4383).')
@minValue(4)
@maxValue(4383)
param totalRetentionInDays int = 365

@description('Partitions of the hub. Each partition is read by one invocation at a time, so this bounds parallelism; it can not be lowered later.')
@minValue(1)
@maxValue(32)
param partitionCount int = 8

@description('Throughput units of the Event Hubs namespace to begin with: 1 MB or 1,000 events a second each.')
@minValue(1)
@maxValue(40)
param throughputUnits int = 1

@description('Throughput units up to which the namespace grows by itself. The weekly snapshots come in bursts.')
@minValue(1)
@maxValue(40)
param maximumThroughputUnits int = 10

@description('Days that Event Hubs keeps events: how long the app may be down without loss (1 to 7 on Standard).')
@minValue(1)
@maxValue(7)
param eventRetentionInDays int = 7

@description('Whether shared access keys work on the namespace. Needed for exports whose destination names an authorizationRule; not for trustedService.')
param allowEventHubKeys bool = false

@description('Object id, in this tenant, of the enterprise application \'Windows Azure Security Resource Provider\': gets Data Sender on the hub, so that exports with trustedService may send. Empty leaves the assignment to you.')
param securityProviderPrincipalId string = ''

@description('Whether enriched rows also go to a second hub, for pipelines downstream.')
param forwardRows bool = false

@description('Whether storage and Event Hubs are reached through private endpoints only. Defender for Cloud reaches the hub as a trusted service.')
param privateNetworking bool = false

@description('Whether the data plane (Event Hub trigger, replay) is an app of its own with an identity of its own, that holds no right to change exports.')
param separateDataPlane bool = false

@description('Memory of one instance, in MB. 2048 holds the default batch; 4096 doubles the CPU with it.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Most instances at the same time. Target-based scaling asks for unprocessed events divided by maxEventBatchSize, and never more than one instance a partition is of use.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that are always ready, by group: [ { name: \'function:enrich_records\', instanceCount: 1 } ]. None means that the first event after an idle time waits for a cold start.')
param alwaysReady array = []

@description('Whether the app\'s instances are spread over availability zones; not every region has them.')
param zoneRedundant bool = false

@description('Whether the exports are only planned (plan) or also written (apply). Begin with plan, read the reports, then redeploy with apply.')
@allowed([
  'plan'
  'apply'
])
param reconcileMode string = 'plan'

@description('Who may call the HTTP API: key (function keys) or entra (Easy Auth with the app roles of infra/app-roles.json).')
@allowed([
  'key'
  'entra'
])
param authMode string = 'key'

@description('Client id of the app registration behind Easy Auth; needed where authMode is entra.')
param authClientId string = ''

@description('Further app settings by name, over the defaults: every setting of docs/settings.md. Secrets as Key Vault references.')
param settings object = {}

@description('Object id of a user or group that operates the app: may push export files and read reports and dead letters. Empty assigns nobody.')
param operatorPrincipalId string = ''

@description('Whether operatorPrincipalId is a User, a Group or a ServicePrincipal.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param operatorPrincipalType string = 'Group'

@description('Mail addresses that alerts go to.')
param alertEmails array = []

@description('Resource ids of existing action groups that alerts go to.')
param actionGroupIds array = []

var resourceTags = union(tags, {
  'azd-env-name': environmentName
  application: 'defender-export'
})
var token = uniqueString(subscription().id, resourceGroupName, environmentName)
var createWorkspace = empty(workspaceResourceId)
var workspaceSubscriptionId = createWorkspace ? subscription().subscriptionId : split(workspaceResourceId, '/')[2]
var workspaceResourceGroup = createWorkspace ? resourceGroupName : split(workspaceResourceId, '/')[4]
var workspaceName = createWorkspace ? 'log-defender-export-${token}' : split(workspaceResourceId, '/')[8]
var containerNames = {
  deployments: 'deployments'
  exports: 'export-configs'
  reports: 'run-reports'
  deadLetters: 'dead-letters'
  oversize: 'oversize-records'
}

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: resourceTags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-defender-export-${token}'
    location: location
    tags: resourceTags
  }
}

module dataIdentity 'modules/identity.bicep' = if (separateDataPlane) {
  name: 'data-identity'
  scope: group
  params: {
    name: 'id-defender-export-data-${token}'
    location: location
    tags: resourceTags
  }
}

module workspace 'modules/workspace.bicep' = if (createWorkspace) {
  name: 'workspace'
  scope: group
  params: {
    name: workspaceName
    location: location
    tags: resourceTags
    retentionInDays: retentionInDays
  }
}

module tables 'modules/tables.bicep' = {
  name: 'defender-export-tables-${token}'
  scope: resourceGroup(workspaceSubscriptionId, workspaceResourceGroup)
  dependsOn: [
    workspace
  ]
  params: {
    workspaceName: workspaceName
    plan: tablePlan
    plans: tablePlans
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
  }
}

module insights 'modules/insights.bicep' = {
  name: 'insights'
  scope: group
  params: {
    name: 'appi-defender-export-${token}'
    location: location
    tags: resourceTags
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module ingestion 'modules/ingestion.bicep' = {
  name: 'ingestion'
  scope: group
  params: {
    name: 'dcr-defender-export-${token}'
    location: location
    tags: resourceTags
    workspaceResourceId: tables.outputs.workspaceResourceId
    tableNames: tables.outputs.tableNames
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'stdefexp${token}'
    location: location
    tags: resourceTags
    containerNames: containerNames
    queueNames: [
      'jobs'
    ]
    tableNames: [
      'jobs'
      'freshness'
    ]
    oversizeRetentionInDays: totalRetentionInDays
    publicNetworkAccess: !privateNetworking
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module eventHubs 'modules/eventhubs.bicep' = {
  name: 'event-hubs'
  scope: group
  params: {
    name: 'evhns-defender-export-${token}'
    location: location
    tags: resourceTags
    partitionCount: partitionCount
    throughputUnits: throughputUnits
    maximumThroughputUnits: maximumThroughputUnits
    eventRetentionInDays: eventRetentionInDays
    allowKeys: allowEventHubKeys
    forward: forwardRows
    publicNetworkAccess: !privateNetworking
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-defender-export-${token}'
    location: location
    tags: resourceTags
    storageAccountId: storage.outputs.id
    namespaceId: eventHubs.outputs.namespaceId
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  dependsOn: [
    roles
  ]
  params: {
    name: 'func-defender-export-${token}'
    serviceName: 'app'
    role: separateDataPlane ? 'control' : 'all'
    location: location
    tags: resourceTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    deploymentContainer: containerNames.deployments
    containerNames: containerNames
    eventHubNamespace: eventHubs.outputs.fullyQualifiedNamespace
    eventHubName: eventHubs.outputs.hubName
    eventHubResourceId: eventHubs.outputs.hubId
    securityProviderPrincipalId: securityProviderPrincipalId
    consumerGroup: eventHubs.outputs.consumerGroup
    forwardEventHub: eventHubs.outputs.forwardHubName
    ingestionEndpoint: ingestion.outputs.endpoint
    ingestionRuleId: ingestion.outputs.immutableId
    workspaceId: tables.outputs.customerId
    insightsName: insights.outputs.name
    instanceId: environmentName
    reconcileMode: reconcileMode
    authMode: authMode
    authClientId: authClientId
    settings: settings
    subnetId: privateNetworking ? network.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: separateDataPlane ? [] : alwaysReady
    zoneRedundant: zoneRedundant
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module dataApp 'modules/app.bicep' = if (separateDataPlane) {
  name: 'data-app'
  scope: group
  dependsOn: [
    dataRoles
  ]
  params: {
    name: 'func-defender-data-${token}'
    serviceName: 'data'
    role: 'data'
    location: location
    tags: resourceTags
    identityId: separateDataPlane ? dataIdentity.outputs.id : ''
    identityClientId: separateDataPlane ? dataIdentity.outputs.clientId : ''
    storageAccountName: storage.outputs.name
    deploymentContainer: containerNames.deployments
    containerNames: containerNames
    eventHubNamespace: eventHubs.outputs.fullyQualifiedNamespace
    eventHubName: eventHubs.outputs.hubName
    eventHubResourceId: eventHubs.outputs.hubId
    securityProviderPrincipalId: securityProviderPrincipalId
    consumerGroup: eventHubs.outputs.consumerGroup
    forwardEventHub: eventHubs.outputs.forwardHubName
    ingestionEndpoint: ingestion.outputs.endpoint
    ingestionRuleId: ingestion.outputs.immutableId
    workspaceId: tables.outputs.customerId
    insightsName: insights.outputs.name
    instanceId: environmentName
    reconcileMode: 'plan'
    authMode: authMode
    authClientId: authClientId
    settings: settings
    subnetId: privateNetworking ? network.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    zoneRedundant: zoneRedundant
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    storageAccountName: storage.outputs.name
    namespaceName: eventHubs.outputs.namespaceName
    hubName: eventHubs.outputs.hubName
    forwardHubName: eventHubs.outputs.forwardHubName
    ruleName: ingestion.outputs.name
    insightsName: insights.outputs.name
    securityProviderPrincipalId: securityProviderPrincipalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    exportsContainer: containerNames.exports
    reportsContainer: containerNames.reports
    deadLettersContainer: containerNames.deadLetters
  }
}

module dataRoles 'modules/roles.bicep' = if (separateDataPlane) {
  name: 'data-roles'
  scope: group
  params: {
    principalId: separateDataPlane ? dataIdentity.outputs.principalId : ''
    storageAccountName: storage.outputs.name
    namespaceName: eventHubs.outputs.namespaceName
    hubName: eventHubs.outputs.hubName
    forwardHubName: eventHubs.outputs.forwardHubName
    ruleName: ingestion.outputs.name
    insightsName: insights.outputs.name
    exportsContainer: containerNames.exports
    reportsContainer: containerNames.reports
    deadLettersContainer: containerNames.deadLetters
  }
}

module workspaceRoles 'modules/workspace-roles.bicep' = {
  name: 'defender-export-roles-${token}'
  scope: resourceGroup(workspaceSubscriptionId, workspaceResourceGroup)
  dependsOn: [
    tables
  ]
  params: {
    principalId: identity.outputs.principalId
    workspaceName: workspaceName
  }
}

module queries 'modules/queries.bicep' = {
  name: 'defender-export-queries-${token}'
  scope: resourceGroup(workspaceSubscriptionId, workspaceResourceGroup)
  dependsOn: [
    tables
  ]
  params: {
    workspaceName: workspaceName
    packName: 'defender-export-${environmentName}'
    location: location
    tags: resourceTags
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  dependsOn: [
    queries
  ]
  params: {
    displayName: 'Defender Export (${environmentName})'
    location: location
    tags: resourceTags
    workspaceResourceId: tables.outputs.workspaceResourceId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  dependsOn: [
    queries
  ]
  params: {
    environmentName: environmentName
    location: location
    tags: resourceTags
    workspaceResourceId: tables.outputs.workspaceResourceId
    emails: alertEmails
    actionGroupIds: actionGroupIds
  }
}

@description('Name of the function app, for func azure functionapp publish.')
output functionAppName string = app.outputs.name

@description('Name of the data plane\'s function app; empty where there is none.')
output dataFunctionAppName string = separateDataPlane ? dataApp.outputs.name : ''

@description('Address of the HTTP API and of the operations page below /api/operations.')
output functionAppUrl string = app.outputs.url

@description('Object id of the app\'s identity: the principalId of management-group.bicep.')
output principalId string = identity.outputs.principalId

@description('Object id of the data plane\'s identity: the dataPrincipalId of management-group.bicep; empty where there is none.')
output dataPrincipalId string = separateDataPlane ? dataIdentity.outputs.principalId : ''

@description('Resource id of the hub: destination.eventHub.resourceId of export files.')
output eventHubResourceId string = eventHubs.outputs.hubId

@description('Resource id of the workspace that holds the tables.')
output workspaceResourceId string = tables.outputs.workspaceResourceId

@description('Name of the storage account that holds export files, reports and dead letters.')
output storageAccountName string = storage.outputs.name

@description('Blob service address of that account, for defender-export push.')
output blobServiceUri string = storage.outputs.blobServiceUri
