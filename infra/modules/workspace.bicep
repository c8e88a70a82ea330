// A workspace of our own, where none exists to use.

import { Tags } from '../types.bicep'

@description('Name of the workspace.')
param name string

@description('Azure region.')
param location string

@description('Tags of the workspace.')
param tags Tags

@description('Days that tables without a retention of their own keep rows (30 to 730).')
param retentionInDays int

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: max(30, retentionInDays)
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}
