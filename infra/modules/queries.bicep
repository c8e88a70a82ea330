// Saved functions in the workspace, and the query library as a query pack. Both are generated: python -m tools.infra.

@description('Name of the workspace.')
param workspaceName string

@description('Name of the query pack.')
param packName string

@description('Azure region.')
param location string

@description('Tags of the query pack.')
param tags object

var saved = loadJsonContent('../generated/functions.json')
var library = loadJsonContent('../generated/queries.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

@batchSize(1)
resource savedFunction 'Microsoft.OperationalInsights/workspaces/savedSearches@2020-08-01' = [for item in saved.functions: {
  parent: workspace
  name: item.name
  properties: {
    category: 'Defender Export'
    displayName: item.name
    functionAlias: item.name
    functionParameters: item.parameters
    query: item.query
    version: 2
  }
}]

resource pack 'Microsoft.OperationalInsights/queryPacks@2019-09-01' = {
  name: packName
  location: location
  tags: tags
  properties: {}
}

resource query 'Microsoft.OperationalInsights/queryPacks/queries@2019-09-01' = [for item in library.queries: {
  parent: pack
  name: item.id
  properties: {
    displayName: item.title
    description: item.description
    body: item.query
    related: {
      categories: [
        'security'
      ]
      resourceTypes: [
        'microsoft.operationalinsights/workspaces'
      ]
    }
  }
}]
