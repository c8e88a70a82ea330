// Application Insights in the workspace, for the host's and the app's logs, metrics and traces.

import { Tags } from '../types.bicep'

@description('Name of the component.')
param name string

@description('Azure region.')
param location string

@description('Tags of the component.')
param tags Tags

@description('Resource id of the workspace that holds its tables.')
param workspaceResourceId string

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceResourceId
    DisableLocalAuth: true // telemetry is sent by identity
  }
}
