// The custom tables. Their columns are generated from the app's own schemas: python -m tools.infra.

@description('Name of the workspace, in the resource group that this deploys to.')
param workspaceName string

@description('Plan of every table that plans does not name.')
param plan string

@description('Plans by table name.')
param plans object

@description('Days of interactive retention, for plan Analytics.')
param retentionInDays int

@description('Days of retention in all.')
param totalRetentionInDays int

var schemas = loadJsonContent('../generated/tables.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

// One at a time: the workspace refuses table changes that run side by side.
@batchSize(1)
resource table 'Microsoft.OperationalInsights/workspaces/tables@2023-09-01' = [for item in schemas.tables: {
  parent: workspace
  name: item.name
  properties: {
    schema: item.schema
    plan: contains(plans, item.name) ? plans[item.name] : plan
    // Basic and Auxiliary have a fixed interactive retention; null leaves it to Azure.
    retentionInDays: (contains(plans, item.name) ? plans[item.name] : plan) == 'Analytics' ? retentionInDays : null
    totalRetentionInDays: max(retentionInDays, totalRetentionInDays)
  }
}]

@description('Resource id of the workspace.')
output workspaceResourceId string = workspace.id

@description('Customer id of the workspace: WORKSPACE_ID of the app.')
output customerId string = workspace.properties.customerId

@description('Names of the tables, once they exist.')
output tableNames array = [for (item, index) in schemas.tables: table[index].name]
