// What the app may do in the workspace, which may lie in another resource group or subscription.

@description('Resource id of the app\'s identity: the name of its assignment is made of it.')
param identityId string

@description('Object id of the app\'s identity.')
param principalId string

@description('Name of the workspace.')
param workspaceName string

var logAnalyticsDataReader = '3b03c2da-16b3-4a49-8834-0f8130efdd3b'

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, identityId, logAnalyticsDataReader)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logAnalyticsDataReader)
    description: 'check_freshness compares the rows uploaded with the rows in the tables.'
  }
}
