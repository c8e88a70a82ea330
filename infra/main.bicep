targetScope = 'subscription'

// One deployment: a resource group with the app, its storage, its hub, and what is watched about it.
// The rights over the tenant's subscriptions are a deployment of their own: management-group.bicep.
// docs/deploy.md says of each parameter what it needs, what it excludes, what it leaves behind and what it interrupts.

import {
  AlwaysReady
  consistsOf
  isId
  isMail
  isResourceId
  PrincipalType
  Settings
  StorageSku
  TablePlan
  TablePlans
  Tags
  UpdateStrategy
} from 'types.bicep'

@description('Names this deployment: part of every resource name. Lower-case letters, digits and hyphens.')
@minLength(2)
@maxLength(20)
param environmentName string

@description('INSTANCE_ID of the app: names it in the ownership tags of the exports that it manages. Two deployments in one tenant need two, but where one takes over from the other, such as in another region.')
@minLength(2)
@maxLength(20)
param instanceId string = environmentName

@description('Azure region of every resource. An existing workspace must lie in this region too, because a data collection rule must.')
param location string

@description('Name of the resource group that is created.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-defender-export-${environmentName}-${location}'

@description('The thirteen characters at the end of resource names, of a deployment whose names must stay. Empty derives them from subscription, resource group, environmentName and location.')
@maxLength(13)
param nameToken string = ''

@description('Tags on every resource.')
param tags Tags = {}

@description('Resource id of an existing Log Analytics workspace; empty creates one. docs/deploy.md names the rights that the deploying user needs there.')
param workspaceResourceId string = ''

@description('Whether tables and functions are written into the workspace. false where another deployment, of this release or a newer one, shares the workspace and has written them: the last one to write decides.')
param writeTables bool = true

@description('Plan of the tables of records. Analytics is what functions, alerts and the workbook need; Basic is cheaper to fill, and docs/deploy.md lists what goes without it.')
param tablePlan TablePlan = 'Analytics'

@description('Plans of single tables of records, by table name, where they differ from tablePlan.')
param tablePlans TablePlans = {}

@description('Days that rows stay interactively queryable, for tables of plan Analytics (4 to 730).')
@minValue(4)
@maxValue(730)
param retentionInDays int = 90

@description('Days that rows are kept in all, long-term retention included: 4 to 730, or whole years: 1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653, 4018, 4383.')
@minValue(4)
@maxValue(4383)
param totalRetentionInDays int = 365

@description('Replication of the storage account. GRS and GZRS keep a copy in the paired region; RAGRS and RAGZRS let it be read. A region without zones has no ZRS of any kind; Azure does not change the zones of an existing account in a deployment.')
param storageSku StorageSku = 'Standard_ZRS'

@description('Whether storage, Event Hubs and the workspace that is created are locked against deletion. Needs the right to write locks.')
param lockData bool = false

@description('Partitions of the hub. Each partition is read by one invocation at a time, so this bounds parallelism; on the Standard tier it can not be changed later.')
@minValue(1)
@maxValue(32)
param partitionCount int = 8

@description('Throughput units of the Event Hubs namespace to begin with: 1 MB or 1,000 events a second each.')
@minValue(1)
@maxValue(40)
param throughputUnits int = 1

@description('Throughput units up to which the namespace grows by itself. The weekly snapshots come in bursts. It never shrinks by itself: the next deployment sets throughputUnits again.')
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

@description('Instances that are always ready, by group: [ { name: \'function:enrich_records\', instanceCount: 1 } ]. None means that the first event after an idle time waits for a cold start. With separateDataPlane each group goes to the app that runs it.')
param alwaysReady AlwaysReady[] = []

@description('Whether the app\'s instances are spread over availability zones; not every region has them.')
param zoneRedundant bool = false

@description('What becomes of running invocations when code or settings change.')
param updateStrategy UpdateStrategy = 'Recreate'

@description('Whether the exports are only planned (plan), also written (apply), or written once somebody approved the plan (approve; needs authMode entra or the command line). Begin with plan, read the reports, then redeploy with apply or approve.')
@allowed([
  'plan'
  'apply'
  'approve'
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

@description('Further app settings by name, over the defaults: the settings of docs/settings.md that no parameter decides. Secrets as Key Vault references.')
param settings Settings = {}

@description('Object id of a user or group that operates the app: may push export files and read reports and dead letters. Empty assigns nobody.')
param operatorPrincipalId string = ''

@description('Whether operatorPrincipalId is a User, a Group or a ServicePrincipal.')
param operatorPrincipalType PrincipalType = 'Group'

@description('Mail addresses that alerts go to.')
param alertEmails string[] = []

@description('Resource ids of existing action groups that alerts go to.')
param actionGroupIds string[] = []

@description('Whether the alert rule is on that sends notices by mail, for receivers whose channel is mail. docs/notify.md')
param mailNotices bool = false

@description('Whether Microsoft Sentinel, which must be on the workspace already, gets analytics rules, hunting queries and ASIM parsers over the tables. docs/sentinel.md says what they make and what they cost.')
param sentinel bool = false

@description('Values of the criticality tag that Sentinel rules take for critical, in any casing; none means those of docs/sentinel.md.')
param sentinelCriticalValues string[] = []

// What Azure would refuse half-way, or take and not do, is refused here, all of it in one message.
var known = loadJsonContent('generated/known-settings.json')
var unknownSettings = filter(
  objectKeys(settings),
  name => !contains(known.names, name) && empty(filter(known.prefixes, prefix => startsWith(name, prefix)))
)
var plainSecrets = filter(
  known.secrets,
  secret => !empty(settings[?secret] ?? '') && !startsWith(settings[?secret] ?? '', '@Microsoft.KeyVault(')
)
var wholeYears = [1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653, 4018, 4383]
var alwaysReadyCount = reduce(alwaysReady, 0, (sum, group) => int(sum) + group.instanceCount)
var givenIds = {
  securityProviderPrincipalId: securityProviderPrincipalId
  operatorPrincipalId: operatorPrincipalId
  authClientId: authClientId
}
var malformedIds = filter(objectKeys(givenIds), name => !empty(givenIds[name]) && !isId(givenIds[name]))
var malformedActionGroups = filter(actionGroupIds, id => !isResourceId(id, 'Microsoft.Insights/actionGroups'))
var malformedMails = filter(alertEmails, address => !isMail(address))
var tagNames = map(objectKeys(tags), tag => toLower(tag))
var reservedTags = intersection(tagNames, ['azd-env-name', 'azd-service-name', 'application'])
var malformedTags = filter(
  tagNames,
  tag =>
    empty(tag) || length(tag) > 128 || contains(
      map(range(0, length(tag)), at => contains('<>%&\\?/', substring(tag, at, 1))),
      true
    ) || contains(map(['azure', 'microsoft', 'windows'], prefix => startsWith(tag, prefix)), true)
)
var letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
var rules = [
  {
    broken: !consistsOf(environmentName, '${letters}-') || startsWith(environmentName, '-') || endsWith(
      environmentName,
      '-'
    )
    sentence: 'environmentName \'${environmentName}\' must consist of lower-case letters, digits and hyphens, and neither begin nor end with a hyphen: it is part of names.'
  }
  {
    broken: !consistsOf(instanceId, '${letters}-') || startsWith(instanceId, '-') || endsWith(instanceId, '-')
    sentence: 'instanceId \'${instanceId}\' must consist of lower-case letters, digits and hyphens, and neither begin nor end with a hyphen: it is a tag that is searched for.'
  }
  {
    broken: !empty(nameToken) && (length(nameToken) != 13 || !consistsOf(nameToken, letters))
    sentence: 'nameToken \'${nameToken}\' must be the thirteen lower-case letters and digits at the end of existing names, or be empty.'
  }
  {
    broken: !consistsOf(toLower(resourceGroupName), '${letters}-_.()') || endsWith(resourceGroupName, '.')
    sentence: 'resourceGroupName \'${resourceGroupName}\' may hold letters, digits and -_.() only, and not end with a full stop.'
  }
  {
    broken: !empty(workspaceResourceId) && !isResourceId(
      workspaceResourceId,
      'Microsoft.OperationalInsights/workspaces'
    )
    sentence: 'workspaceResourceId must read /subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.OperationalInsights/workspaces/<name>, or be empty.'
  }
  {
    broken: !writeTables && empty(workspaceResourceId)
    sentence: 'writeTables can only be false with workspaceResourceId: a workspace that is created has no tables yet.'
  }
  {
    broken: totalRetentionInDays < retentionInDays
    sentence: 'totalRetentionInDays (${totalRetentionInDays}) can not be less than retentionInDays (${retentionInDays}): it includes them.'
  }
  {
    broken: totalRetentionInDays > 730 && !contains(wholeYears, totalRetentionInDays)
    sentence: 'totalRetentionInDays (${totalRetentionInDays}) must be 4 to 730, or one of ${join(map(wholeYears, days => string(days)), ', ')}: Azure takes no other.'
  }
  {
    broken: throughputUnits > maximumThroughputUnits
    sentence: 'throughputUnits (${throughputUnits}) can not exceed maximumThroughputUnits (${maximumThroughputUnits}).'
  }
  {
    broken: alwaysReadyCount > maximumInstanceCount
    sentence: 'alwaysReady asks for ${alwaysReadyCount} instances, more than maximumInstanceCount (${maximumInstanceCount}).'
  }
  {
    broken: length(union(map(alwaysReady, group => group.name), [])) < length(alwaysReady)
    sentence: 'alwaysReady names a group twice: give each group one instanceCount.'
  }
  {
    broken: zoneRedundant && !endsWith(storageSku, 'ZRS')
    sentence: 'zoneRedundant needs a storageSku of Standard_ZRS, Standard_GZRS or Standard_RAGZRS: the app can not outlive a zone that its storage lies in.'
  }
  {
    broken: privateNetworking && allowEventHubKeys
    sentence: 'privateNetworking excludes allowEventHubKeys: an export that sends with a key is no trusted service, and the namespace lets nothing else in.'
  }
  {
    broken: authMode == 'entra' && empty(authClientId)
    sentence: 'authMode entra needs authClientId, the client id of the app registration: without one nobody could sign in.'
  }
  {
    broken: !empty(malformedIds)
    sentence: '${join(malformedIds, ', ')} must be an object or client id of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, not a name and not zeros.'
  }
  {
    broken: !empty(malformedMails)
    sentence: 'alertEmails must hold plain mail addresses: ${join(malformedMails, ', ')}.'
  }
  {
    broken: length(union(map(alertEmails, address => toLower(address)), [])) < length(alertEmails)
    sentence: 'alertEmails names an address twice, and an action group takes each once.'
  }
  {
    broken: !empty(malformedActionGroups)
    sentence: 'actionGroupIds must hold resource ids of action groups: ${join(malformedActionGroups, ', ')}.'
  }
  {
    broken: !empty(unknownSettings)
    sentence: 'settings: ${join(unknownSettings, ', ')} can not be given there: not in docs/settings.md, or decided by a parameter of its own.'
  }
  {
    broken: !empty(plainSecrets)
    sentence: 'settings: ${join(plainSecrets, ', ')} must be Key Vault references, @Microsoft.KeyVault(SecretUri=...): a deployment keeps its parameters readable.'
  }
  {
    broken: !empty(reservedTags)
    sentence: 'tags: ${join(reservedTags, ', ')} is set by the deployment itself.'
  }
  {
    broken: !empty(malformedTags) || length(tags) > 47 || length(union(tagNames, tagNames)) < length(tags)
    sentence: 'tags: at most 47, each with a name of 1 to 128 characters without <>%&\\?/, given once whatever its casing, that does not begin with azure, microsoft or windows.'
  }
  {
    broken: contains(map(sentinelCriticalValues, value => empty(trim(value))), true)
    sentence: 'sentinelCriticalValues must hold no empty text: it would make critical what has no such tag.'
  }
]
var refusals = map(filter(rules, rule => rule.broken), rule => rule.sentence)
var name = empty(refusals) ? environmentName : fail(join(refusals, ' '))

var resourceTags = union(tags, {
  'azd-env-name': name
  application: 'defender-export'
})

// Every name is computed here, once, and handed both to what makes the resource and to what uses it: so that
// what-if, which knows no output of a module beforehand, still predicts each role, setting and app.
var token = empty(nameToken) ? uniqueString(subscription().id, resourceGroupName, name, location) : nameToken
var groupId = '${subscription().id}/resourceGroups/${resourceGroupName}'
var identityName = 'id-defender-export-${token}'
var dataIdentityName = 'id-defender-export-data-${token}'
var identityId = '${groupId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${identityName}'
var dataIdentityId = '${groupId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${dataIdentityName}'
var storageAccountName = 'stdefexp${token}'
var dataStorageAccountName = separateDataPlane ? 'stdefdat${token}' : storageAccountName
var namespaceName = 'evhns-defender-export-${token}'
var controlContainers = [containerNames.exports, containerNames.reports]
var dataContainers = [containerNames.deadLetters, containerNames.oversize]
var hubName = 'defender-export'
var forwardHubName = forwardRows ? 'defender-export-rows' : ''
var consumerGroup = 'enrich'
var ruleName = 'dcr-defender-export-${token}'
var ownRuleName = 'dcr-defender-export-own-${token}'
var ruleNames = [ruleName, ownRuleName]
var insightsName = 'appi-defender-export-${token}'
var networkName = 'vnet-defender-export-${token}'
var namespaceId = '${groupId}/providers/Microsoft.EventHub/namespaces/${namespaceName}'
var hubId = '${namespaceId}/eventhubs/${hubName}'
var subnetId = privateNetworking
  ? '${groupId}/providers/Microsoft.Network/virtualNetworks/${networkName}/subnets/apps'
  : ''
var createWorkspace = empty(workspaceResourceId)
var workspacePath = split(createWorkspace ? '////////' : workspaceResourceId, '/')
var workspaceSubscriptionId = createWorkspace ? subscription().subscriptionId : workspacePath[2]
var workspaceResourceGroup = createWorkspace ? resourceGroupName : workspacePath[4]
var workspaceName = createWorkspace ? 'log-defender-export-${token}' : workspacePath[8]
var workspaceId = resourceId(
  workspaceSubscriptionId,
  workspaceResourceGroup,
  'Microsoft.OperationalInsights/workspaces',
  workspaceName
)
var containerNames = {
  deployments: 'deployments'
  exports: 'export-configs'
  reports: 'run-reports'
  deadLetters: 'dead-letters'
  oversize: 'oversize-records'
}

// The tables that the app writes about itself are small, and the alerts ask them: always Analytics.
var tableDefinitions = loadJsonContent('generated/tables.json', 'tables')
var streams = loadJsonContent('generated/streams.json')
var plans = toObject(
  tableDefinitions,
  table => table.name,
  table => table.holdsRecords ? tablePlans[?table.name] ?? tablePlan : 'Analytics'
)
var basicTables = map(filter(items(plans), plan => plan.value != 'Analytics'), plan => plan.key)

// The functions of each app where there are two; the rest of the groups goes with the API.
var dataGroups = ['function:enrich_records', 'function:retry_dead_letters']

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: resourceTags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: identityName
    location: location
    tags: resourceTags
  }
}

module dataIdentity 'modules/identity.bicep' = if (separateDataPlane) {
  name: 'data-identity'
  scope: group
  params: {
    name: dataIdentityName
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
    lock: lockData
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
    write: writeTables
    plans: plans
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
  }
}

module insights 'modules/insights.bicep' = {
  name: 'insights'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: insightsName
    location: location
    tags: resourceTags
    workspaceResourceId: workspaceId
  }
}

module ingestion 'modules/ingestion.bicep' = {
  name: 'ingestion'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: ruleName
    location: location
    tags: resourceTags
    streams: streams.records
    workspaceResourceId: workspaceId
  }
}

module ownIngestion 'modules/ingestion.bicep' = {
  name: 'own-ingestion'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: ownRuleName
    location: location
    tags: resourceTags
    streams: streams.own
    workspaceResourceId: workspaceId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: storageAccountName
    location: location
    tags: resourceTags
    sku: storageSku
    containerNames: containerNames
    containers: separateDataPlane
      ? [containerNames.deployments, ...controlContainers]
      : [containerNames.deployments, ...controlContainers, ...dataContainers]
    queueNames: [
      'jobs'
    ]
    tableNames: separateDataPlane ? ['jobs'] : ['jobs', 'freshness']
    oversizeRetentionInDays: totalRetentionInDays
    publicNetworkAccess: !privateNetworking
    lock: lockData
    workspaceResourceId: workspaceId
  }
}

// What reads the hub has an account of its own: the other holds export files, jobs and the control plane's package,
// and whoever may write those may change exports.
module dataStorage 'modules/storage.bicep' = if (separateDataPlane) {
  name: 'data-storage'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: dataStorageAccountName
    location: location
    tags: resourceTags
    sku: storageSku
    containerNames: containerNames
    containers: [containerNames.deployments, ...dataContainers]
    queueNames: []
    tableNames: ['freshness']
    oversizeRetentionInDays: totalRetentionInDays
    publicNetworkAccess: !privateNetworking
    lock: lockData
    workspaceResourceId: workspaceId
  }
}

module eventHubs 'modules/eventhubs.bicep' = {
  name: 'event-hubs'
  scope: group
  dependsOn: [
    tables
  ]
  params: {
    name: namespaceName
    location: location
    tags: resourceTags
    hubName: hubName
    forwardHubName: forwardHubName
    consumerGroup: consumerGroup
    partitionCount: partitionCount
    throughputUnits: throughputUnits
    maximumThroughputUnits: maximumThroughputUnits
    eventRetentionInDays: eventRetentionInDays
    allowKeys: allowEventHubKeys
    publicNetworkAccess: !privateNetworking
    lock: lockData
    workspaceResourceId: workspaceId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  dependsOn: [
    storage
    dataStorage
    eventHubs
  ]
  params: {
    name: networkName
    location: location
    tags: resourceTags
    storageAccountName: storageAccountName
    dataStorageAccountName: dataStorageAccountName
    namespaceName: namespaceName
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  dependsOn: [
    dataStorage
    insights
    network
    roles
    storage
  ]
  params: {
    name: 'func-defender-export-${token}'
    serviceName: 'app'
    role: separateDataPlane ? 'control' : 'all'
    location: location
    tags: resourceTags
    identityId: identityId
    identityClientId: identity.outputs.clientId
    storageAccountName: storageAccountName
    dataStorageAccountName: dataStorageAccountName
    containerNames: containerNames
    eventHubNamespace: eventHubs.outputs.fullyQualifiedNamespace
    eventHubName: hubName
    eventHubResourceId: hubId
    securityProviderPrincipalId: securityProviderPrincipalId
    consumerGroup: consumerGroup
    forwardEventHub: forwardHubName
    ingestionEndpoint: ingestion.outputs.endpoint
    ingestionRuleId: ingestion.outputs.immutableId
    ownIngestionEndpoint: ownIngestion.outputs.endpoint
    ownIngestionRuleId: ownIngestion.outputs.immutableId
    workspaceId: tables.outputs.customerId
    insightsName: insightsName
    instanceId: instanceId
    reconcileMode: reconcileMode
    authMode: authMode
    authClientId: authClientId
    settings: settings
    subnetId: subnetId
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: separateDataPlane ? filter(alwaysReady, group => !contains(dataGroups, group.name)) : alwaysReady
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
  }
}

module dataApp 'modules/app.bicep' = if (separateDataPlane) {
  name: 'data-app'
  scope: group
  dependsOn: [
    dataRoles
    dataStorage
    insights
    network
  ]
  params: {
    name: 'func-defender-data-${token}'
    serviceName: 'data'
    role: 'data'
    location: location
    tags: resourceTags
    identityId: dataIdentityId
    identityClientId: dataIdentity!.outputs.clientId
    storageAccountName: dataStorageAccountName
    dataStorageAccountName: dataStorageAccountName
    containerNames: containerNames
    eventHubNamespace: eventHubs.outputs.fullyQualifiedNamespace
    eventHubName: hubName
    eventHubResourceId: hubId
    securityProviderPrincipalId: securityProviderPrincipalId
    consumerGroup: consumerGroup
    forwardEventHub: forwardHubName
    ingestionEndpoint: ingestion.outputs.endpoint
    ingestionRuleId: ingestion.outputs.immutableId
    ownIngestionEndpoint: ownIngestion.outputs.endpoint
    ownIngestionRuleId: ownIngestion.outputs.immutableId
    workspaceId: tables.outputs.customerId
    insightsName: insightsName
    instanceId: instanceId
    reconcileMode: 'plan'
    authMode: authMode
    authClientId: authClientId
    settings: settings
    subnetId: subnetId
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: filter(alwaysReady, group => contains(dataGroups, group.name))
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  dependsOn: [
    eventHubs
    ingestion
    ownIngestion
    insights
    dataStorage
    storage
  ]
  params: {
    identityId: identityId
    principalId: identity.outputs.principalId
    role: separateDataPlane ? 'control' : 'all'
    storageAccountName: storageAccountName
    dataStorageAccountName: dataStorageAccountName
    namespaceName: namespaceName
    hubName: hubName
    forwardHubName: forwardHubName
    ruleNames: ruleNames
    insightsName: insightsName
    securityProviderPrincipalId: securityProviderPrincipalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    containerNames: containerNames
  }
}

module dataRoles 'modules/roles.bicep' = if (separateDataPlane) {
  name: 'data-roles'
  scope: group
  dependsOn: [
    eventHubs
    ingestion
    ownIngestion
    insights
    dataStorage
  ]
  params: {
    identityId: dataIdentityId
    principalId: dataIdentity!.outputs.principalId
    role: 'data'
    storageAccountName: dataStorageAccountName
    dataStorageAccountName: dataStorageAccountName
    namespaceName: namespaceName
    hubName: hubName
    forwardHubName: forwardHubName
    ruleNames: ruleNames
    insightsName: insightsName
    containerNames: containerNames
  }
}

module workspaceRoles 'modules/workspace-roles.bicep' = {
  name: 'defender-export-roles-${token}'
  scope: resourceGroup(workspaceSubscriptionId, workspaceResourceGroup)
  dependsOn: [
    workspace
  ]
  params: {
    identityId: identityId
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
    packName: 'defender-export-${name}'
    write: writeTables
    location: location
    tags: resourceTags
    basicTables: basicTables
  }
}

module sentinelContent 'modules/sentinel.bicep' = if (sentinel) {
  name: 'defender-export-sentinel-${token}'
  scope: resourceGroup(workspaceSubscriptionId, workspaceResourceGroup)
  dependsOn: [
    queries
  ]
  params: {
    workspaceName: workspaceName
    environmentName: name
    instanceId: instanceId
    write: writeTables
    basicTables: basicTables
    criticalValues: sentinelCriticalValues
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  dependsOn: [
    queries
  ]
  params: {
    displayName: 'Defender Export (${name})'
    location: location
    tags: resourceTags
    workspaceResourceId: workspaceId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    environmentName: name
    instanceId: instanceId
    location: location
    tags: resourceTags
    workspaceResourceId: workspaceId
    namespaceName: namespaceName
    ruleNames: ruleNames
    insightsName: insightsName
    appUrl: app.outputs.url
    basicTables: basicTables
    emails: alertEmails
    actionGroupIds: actionGroupIds
    mailNotices: mailNotices
  }
}

@description('Name of the function app, for func azure functionapp publish.')
output functionAppName string = app.outputs.name

@description('Name of the data plane\'s function app; empty where there is none.')
output dataFunctionAppName string = dataApp.?outputs.?name ?? ''

@description('Address of the HTTP API and of the operations page below /api/operations.')
output functionAppUrl string = app.outputs.url

@description('Object id of the app\'s identity: the principalId of management-group.bicep.')
output principalId string = identity.outputs.principalId

@description('Object id of the data plane\'s identity: the dataPrincipalId of management-group.bicep; empty where there is none.')
output dataPrincipalId string = dataIdentity.?outputs.?principalId ?? ''

@description('Resource id of the hub: destination.eventHub.resourceId of export files.')
output eventHubResourceId string = hubId

@description('Name of the resource group.')
output resourceGroupName string = resourceGroupName

@description('INSTANCE_ID of the app: that of the command line too.')
output instanceId string = instanceId

@description('Name of the Event Hubs namespace.')
output namespaceName string = namespaceName

@description('Resource id of the workspace that holds the tables.')
output workspaceResourceId string = workspaceId

@description('Name of the storage account that holds export files, reports and dead letters.')
output storageAccountName string = storageAccountName

@description('Name of the storage account that holds the checkpoints of the hub: that of the data plane where it has an app of its own.')
output dataStorageAccountName string = dataStorageAccountName

@description('Blob service address of that account, for defender-export push.')
output blobServiceUri string = storage.outputs.blobServiceUri
