// The custom tables. Their columns are generated from the app's own schemas: python -m tools.infra.

import { TablePlan } from '../types.bicep'

@description('Name of the workspace, in the resource group that this deploys to.')
param workspaceName string

@description('Whether the tables are written; false where another deployment has.')
param write bool

@description('Plan of each table, by name.')
param plans {
  *: TablePlan
}

@description('Days of interactive retention, for plan Analytics.')
param retentionInDays int

@description('Days of retention in all.')
param totalRetentionInDays int

var schemas = loadJsonContent('../generated/tables.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

// One at a time: the workspace refuses table changes that run side by side.
@batchSize(1)
resource table 'Microsoft.OperationalInsights/workspaces/tables@2026-03-01' = [
  for item in (write ? schemas.tables : []): {
    parent: workspace
    name: item.name
    properties: {
      schema: item.schema
      plan: plans[item.name]
      // Basic has a fixed interactive retention; null leaves it to Azure.
      retentionInDays: plans[item.name] == 'Analytics' ? retentionInDays : null
      totalRetentionInDays: totalRetentionInDays
    }
  }
]

@description('Customer id of the workspace: WORKSPACE_ID of the app.')
output customerId string = workspace.properties.customerId
