// One user-assigned identity, so that rights outlive the app and can be granted before it exists.

@description('Name of the identity.')
param name string

@description('Azure region.')
param location string

@description('Tags of the identity.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id.')
output id string = identity.id

@description('Client id: AZURE_CLIENT_ID of the app.')
output clientId string = identity.properties.clientId

@description('Object id: what roles are assigned to.')
output principalId string = identity.properties.principalId
