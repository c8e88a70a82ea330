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

@description('Whether it is locked against deletion.')
param lock bool

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

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  scope: workspace
  name: 'keep'
  properties: {
    level: 'CanNotDelete'
    notes: 'Rows of years.'
  }
}
