// The workbook: posture, alerts, compliance, and the health of the exports. Its content is generated: python -m tools.infra.

import { Tags } from '../types.bicep'

@description('Title of the workbook.')
param displayName string

@description('Azure region.')
param location string

@description('Tags of the workbook.')
param tags Tags

@description('Resource id of the workspace that it asks.')
param workspaceResourceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'defender-export-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    version: '1.0'
    sourceId: workspaceResourceId
    serializedData: loadTextContent('../generated/workbook.json')
  }
}
