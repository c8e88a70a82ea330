// Saved functions in the workspace, and the query library as a query pack. Both are generated: python -m tools.infra.

import { Tags } from '../types.bicep'

@description('Name of the workspace.')
param workspaceName string

@description('Name of the query pack.')
param packName string

@description('Azure region.')
param location string

@description('Tags of the query pack.')
param tags Tags

@description('Whether the functions are written; false where another deployment has.')
param write bool

@description('Tables of plan Basic, which no saved function may read, nor what asks one: those are left out.')
param basicTables string[]

var saved = loadJsonContent('../generated/functions.json')
var library = loadJsonContent('../generated/queries.json')
var functions = filter(saved.functions, item => empty(intersection(item.reads, basicTables)))
var queries = filter(library.queries, item => empty(intersection(item.reads, basicTables)))

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

@batchSize(1)
resource savedFunction 'Microsoft.OperationalInsights/workspaces/savedSearches@2026-03-01' = [
  for item in (write ? functions : []): {
    parent: workspace
    name: item.name
    properties: {
      #disable-next-line BCP037 // missing from the types; without it a second deployment gets 409 (azure-docs issue 49275)
      etag: '*'
      category: 'Defender Export'
      displayName: item.name
      functionAlias: item.name
      functionParameters: item.parameters
      query: item.query
      version: 2
    }
  }
]

resource pack 'Microsoft.OperationalInsights/queryPacks@2026-03-01' = {
  name: packName
  location: location
  tags: tags
  properties: {}
}

resource query 'Microsoft.OperationalInsights/queryPacks/queries@2026-03-01' = [
  for item in queries: {
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
  }
]
