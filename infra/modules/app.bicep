// A Flex Consumption plan with one function app. HTTP, the Event Hub trigger and every timer scale on their own there.

import { AlwaysReady, ContainerNames, Settings, Tags, UpdateStrategy } from '../types.bicep'

@description('Name of the function app.')
param name string

@description('Name of the service in azure.yaml that is deployed to this app.')
param serviceName string

@description('all: every function. control: reconcile, jobs and API. data: the Event Hub trigger and the replay of dead letters.')
@allowed([
  'all'
  'control'
  'data'
])
param role string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags Tags

@description('Resource id of the app\'s identity.')
param identityId string

@description('Client id of that identity.')
param identityClientId string

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the account that holds dead letters, oversize records and what was seen: the same one, or the data plane\'s.')
param dataStorageAccountName string

@description('Container names by use.')
param containerNames ContainerNames

@description('Host name of the Event Hubs namespace.')
param eventHubNamespace string

@description('Name of the hub.')
param eventHubName string

@description('Resource id of the hub.')
param eventHubResourceId string

@description('Object id of \'Windows Azure Security Resource Provider\'; empty means that preflight does not check its role.')
param securityProviderPrincipalId string

@description('Consumer group of the Event Hub trigger.')
param consumerGroup string

@description('Name of the output hub; empty means none.')
param forwardEventHub string

@description('Logs ingestion endpoint of the data collection rule.')
param ingestionEndpoint string

@description('Immutable id of the data collection rule.')
param ingestionRuleId string

@description('Logs ingestion endpoint of the rule for the app\'s own rows.')
param ownIngestionEndpoint string

@description('Immutable id of that rule.')
param ownIngestionRuleId string

@description('Customer id of the workspace.')
param workspaceId string

@description('Name of the Application Insights component.')
param insightsName string

@description('This deployment\'s name in the ownership tags of exports.')
param instanceId string

@description('plan or apply.')
param reconcileMode string

@description('key or entra.')
param authMode string

@description('Client id of the app registration behind Easy Auth.')
param authClientId string

@description('Settings over the defaults, by name.')
param settings Settings

@description('Subnet for outgoing traffic; empty means none.')
param subnetId string

@description('Memory of one instance, in MB.')
param instanceMemoryMB int

@description('Most instances at the same time.')
param maximumInstanceCount int

@description('Instances that are always ready, by group.')
param alwaysReady AlwaysReady[]

@description('Whether instances are spread over availability zones.')
param zoneRedundant bool

@description('What becomes of running invocations when code or settings change.')
param updateStrategy UpdateStrategy

var defaults = loadJsonContent('../generated/settings.json')

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource dataAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: dataStorageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var apart = dataStorageAccountName != storageAccountName

// What this deployment knows better than the defaults.
var deployed = {
  INSTANCE_ID: instanceId
  AZURE_CLOUD: environment().name
  TENANT_ID: tenant().tenantId
  RECONCILE_MODE: reconcileMode
  EVENT_HUB_NAME: eventHubName
  EVENT_HUB_RESOURCE_ID: eventHubResourceId
  SECURITY_PROVIDER_PRINCIPAL_ID: securityProviderPrincipalId
  EVENT_HUB_CONSUMER_GROUP: consumerGroup
  EventHubConnection__fullyQualifiedNamespace: eventHubNamespace
  FORWARD_EVENT_HUB: forwardEventHub
  ForwardConnection__fullyQualifiedNamespace: empty(forwardEventHub) ? '' : eventHubNamespace
  LOGS_INGESTION_ENDPOINT: ingestionEndpoint
  LOGS_INGESTION_RULE_ID: ingestionRuleId
  LOGS_INGESTION_OWN_ENDPOINT: ownIngestionEndpoint
  LOGS_INGESTION_OWN_RULE_ID: ownIngestionRuleId
  WORKSPACE_ID: workspaceId
  AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: account.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
  DataStorage__blobServiceUri: apart ? dataAccount.properties.primaryEndpoints.blob : ''
  DataStorage__tableServiceUri: apart ? dataAccount.properties.primaryEndpoints.table : ''
  EXPORTS_CONTAINER: containerNames.exports
  REPORTS_CONTAINER: containerNames.reports
  DEAD_LETTERS_CONTAINER: containerNames.deadLetters
  OVERSIZE_CONTAINER: containerNames.oversize
  AUTH_MODE: authMode
}

// What the platform and the SDKs read: which identity, and where telemetry goes.
var platform = {
  AZURE_CLIENT_ID: identityClientId
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' // none of a developer's sign-ins is tried
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  EventHubConnection__credential: 'managedidentity'
  EventHubConnection__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

// The same package runs in both apps; each leaves the other's functions off.
var disabledByRole = loadJsonContent('../generated/switched-off.json')

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': serviceName
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled' // the API is for runbooks and people; function keys or Entra decide who
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${containerNames.deployments}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      #disable-next-line BCP037 // missing from the types; documented from 2024-11-01 on (Site update strategies in Flex Consumption)
      siteUpdateStrategy: {
        type: updateStrategy
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  dependsOn: [
    authOn
  ]
  properties: union(defaults, deployed, platform, disabledByRole[role], settings)
}

resource noPublishingPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

// Easy Auth is always deployed, on or off, or an app that goes back to keys would go on to refuse them. In Entra mode
// the functions have no keys and the app believes the header that Easy Auth writes: so it is switched on before
// the settings say so, and switched off after they no longer do. At no time do the settings rely on what is not there.
module authOn 'auth.bicep' = if (authMode == 'entra') {
  name: '${name}-auth-on'
  params: {
    appName: app.name
    enabled: true
    clientId: authClientId
  }
}

module authOff 'auth.bicep' = if (authMode != 'entra') {
  name: '${name}-auth-off'
  dependsOn: [
    appSettings
  ]
  params: {
    appName: app.name
    enabled: false
    clientId: authClientId
  }
}

@description('Name of the function app.')
output name string = app.name

@description('Address of the function app.')
output url string = 'https://${app.properties.defaultHostName}'
