// Private networking: the app in a subnet of its own, storage and Event Hubs behind private endpoints.
// Azure Resource Manager and the ingestion endpoint stay public addresses, reached with a token over TLS.

import { Tags } from '../types.bicep'

@description('Name of the virtual network.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags Tags

@description('Address space of the network; a /24 is enough.')
param addressPrefix string = '10.61.0.0/24'

@description('Address range of the apps\' subnet; a /26 holds 40 instances and more.')
param appSubnetPrefix string = '10.61.0.0/26'

@description('Address range of the private endpoints\' subnet.')
param endpointSubnetPrefix string = '10.61.0.64/27'

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the data plane\'s storage account; the same where it has none.')
param dataStorageAccountName string

@description('Name of the Event Hubs namespace.')
param namespaceName string

var serviceBusSuffixes = {
  AzureCloud: 'servicebus.windows.net'
  AzureUSGovernment: 'servicebus.usgovcloudapi.net'
  AzureChinaCloud: 'servicebus.chinacloudapi.cn'
}
var storageGroups = [
  'blob'
  'queue'
  'table'
]
var zones = [
  ...map(storageGroups, group => {
    name: group
    zone: 'privatelink.${group}.${environment().suffixes.storage}'
  })
  {
    name: 'event-hubs'
    zone: 'privatelink.${serviceBusSuffixes[environment().name]}'
  }
]
var apart = dataStorageAccountName != storageAccountName
var endpoints = [
  ...map(storageGroups, (group, index) => {
    name: group
    group: group
    zone: index
    data: false
  })
  {
    name: 'event-hubs'
    group: 'namespace'
    zone: length(storageGroups)
    data: false
  }
  ...map(apart ? storageGroups : [], (group, index) => {
    name: 'data-${group}'
    group: group
    zone: index
    data: true
  })
]

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource dataAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: dataStorageAccountName
}

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource guard 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${name}-guard'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nothing-from-the-internet'
        properties: {
          access: 'Deny'
          direction: 'Inbound'
          priority: 4000
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

// Subnets are written inside the network: a network deployed again without them would try to take them away.
resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: appSubnetPrefix
          networkSecurityGroup: {
            id: guard.id
          }
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointSubnetPrefix
          networkSecurityGroup: {
            id: guard.id
          }
        }
      }
    ]
  }
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2026-03-01' existing = {
  parent: network
  name: 'endpoints'
}

resource endpoint 'Microsoft.Network/privateEndpoints@2026-03-01' = [
  for item in endpoints: {
    name: '${name}-${item.name}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: endpointSubnet.id
      }
      privateLinkServiceConnections: [
        {
          name: item.name
          properties: {
            privateLinkServiceId: item.group == 'namespace' ? namespace.id : item.data ? dataAccount.id : account.id
            groupIds: [
              item.group
            ]
          }
        }
      ]
    }
  }
]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for item in zones: {
    name: item.zone
    location: 'global'
    tags: tags
  }
]

resource zoneLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (item, index) in zones: {
    parent: zone[index]
    name: '${item.name}-link'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2026-03-01' = [
  for (item, index) in endpoints: {
    parent: endpoint[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: item.name
          properties: {
            privateDnsZoneId: zone[item.zone].id
          }
        }
      ]
    }
  }
]
