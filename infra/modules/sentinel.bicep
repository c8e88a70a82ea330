// Content for Microsoft Sentinel, which must be on the workspace already: analytics rules, hunting queries and ASIM
// parsers of infra/sentinel/, generated into one list: python -m tools.infra. docs/sentinel.md says what each is for.

@description('Name of the workspace.')
param workspaceName string

@description('Name of the deployment, for the titles: they are unique in a workspace.')
param environmentName string

@description('INSTANCE_ID of the app, for the rules about its own rows.')
param instanceId string

@description('Whether what asks about records is written; false where another deployment in the workspace has, or each incident would come twice.')
param write bool

@description('Tables of plan Basic, which no rule, query or function may ask.')
param basicTables string[]

@description('Values of the criticality tag that count as critical, in any casing; none means the usual ones.')
param criticalValues string[]

var content = loadJsonContent('../generated/sentinel.json')
var rules = filter(content.rules, item => (write || item.ofOneInstance) && empty(intersection(item.reads, basicTables)))
var hunting = filter(content.hunting, item => write && empty(intersection(item.reads, basicTables)))
var parsers = filter(content.parsers, item => write && !contains(basicTables, 'DefenderAlerts_CL'))

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

resource rule 'Microsoft.SecurityInsights/alertRules@2025-09-01' = [
  for item in rules: {
    scope: workspace
    name: guid(workspace.id, environmentName, item.id)
    kind: 'Scheduled'
    properties: union(item.properties, {
      displayName: 'Defender Export (${environmentName}): ${item.title}'
      enabled: true
      query: replace(
        replace(item.query, '{InstanceId}', instanceId),
        '{CriticalValues}',
        'dynamic(${string(empty(criticalValues) ? content.criticalValues : criticalValues)})'
      )
    })
  }
]

// A workspace takes saved searches one at a time, these after those of modules/queries.bicep.
@batchSize(1)
resource parser 'Microsoft.OperationalInsights/workspaces/savedSearches@2026-03-01' = [
  for item in parsers: {
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

@batchSize(1)
resource hunt 'Microsoft.OperationalInsights/workspaces/savedSearches@2026-03-01' = [
  for item in hunting: {
    parent: workspace
    dependsOn: [
      parser
    ]
    name: 'defender-export-${item.name}'
    properties: {
      #disable-next-line BCP037 // missing from the types; without it a second deployment gets 409 (azure-docs issue 49275)
      etag: '*'
      category: 'Hunting Queries'
      displayName: 'Defender Export: ${item.title}'
      query: item.query
      version: 2
      tags: [
        {
          name: 'description'
          value: item.description
        }
        {
          name: 'tactics'
          value: item.tactics
        }
        {
          name: 'techniques'
          value: item.techniques
        }
      ]
    }
  }
]
