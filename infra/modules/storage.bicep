// An account for the host of one app, and for what that app stores. No key opens it.

import { ContainerNames, StorageSku, Tags } from '../types.bicep'

@description('Name of the account: 3 to 24 letters and digits.')
@maxLength(24)
param name string

@description('Azure region.')
param location string

@description('Tags of the account.')
param tags Tags

@description('Replication.')
param sku StorageSku

@description('Container names by use, for the rules of what is kept how long.')
param containerNames ContainerNames

@description('Containers to create.')
param containers string[]

@description('Queues to create.')
param queueNames string[]

@description('Tables to create.')
param tableNames string[]

@description('Days that whole records whose row was cut are kept; as long as the rows.')
param oversizeRetentionInDays int

@description('Days that an overwritten or deleted export file, report or dead letter can be brought back.')
param versionRetentionInDays int = 30

@description('Whether the account answers on its public endpoint.')
param publicNetworkAccess bool

@description('Whether it is locked against deletion.')
param lock bool

@description('Resource id of the workspace that logs go to.')
param workspaceResourceId string

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: publicNetworkAccess ? 'Allow' : 'Deny'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: versionRetentionInDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: versionRetentionInDays
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' = [
  for containerName in containers: {
    parent: blobs
    name: containerName
  }
]

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2026-06-01' = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2026-06-01' = [
  for queueName in queueNames: {
    parent: queues
    name: queueName
  }
]

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2026-06-01' = {
  parent: account
  name: 'default'
}

resource table 'Microsoft.Storage/storageAccounts/tableServices/tables@2026-06-01' = [
  for tableName in tableNames: {
    parent: tables
    name: tableName
  }
]

// The app deletes old reports itself (REPORT_RETENTION_DAYS). Dead letters are never deleted by a rule:
// only a replay that was accepted removes one.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2026-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [
    blobs
  ]
  properties: {
    policy: {
      rules: [
        {
          name: 'oversize-records-as-long-as-rows'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${containerNames.oversize}/'
              ]
            }
            actions: {
              baseBlob: {
                tierToCool: {
                  daysAfterModificationGreaterThan: 7
                }
                delete: {
                  daysAfterModificationGreaterThan: oversizeRetentionInDays
                }
              }
            }
          }
        }
        {
          name: 'dead-letters-to-cool'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${containerNames.deadLetters}/'
              ]
            }
            actions: {
              baseBlob: {
                tierToCool: {
                  daysAfterModificationGreaterThan: 30
                }
              }
            }
          }
        }
        {
          name: 'old-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
            }
            actions: {
              version: {
                delete: {
                  daysAfterCreationGreaterThan: versionRetentionInDays
                }
              }
            }
          }
        }
      ]
    }
  }
}

// Who changed an export file or read a dead letter.
#disable-next-line use-recent-api-versions // no stable version is newer than 2016-09-01, which has no categories of its own
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceResourceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  scope: account
  name: 'keep'
  properties: {
    level: 'CanNotDelete'
    notes: 'Export files, and dead letters, which are the last copy of a record.'
  }
}

@description('Blob service address.')
output blobServiceUri string = account.properties.primaryEndpoints.blob
