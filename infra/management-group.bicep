targetScope = 'managementGroup'

// The rights over the subscriptions below one management group. Deployed by whoever may assign roles there,
// after main.bicep, whose outputs name the principals.

@description('Object id of the app\'s identity: output principalId of main.bicep.')
param principalId string

@description('Object id of the data plane\'s identity where it has an app of its own: output dataPrincipalId of main.bicep.')
param dataPrincipalId string = ''

@description('Name of the deployment: environmentName of main.bicep. Part of the role\'s name, which must be unique in the tenant.')
param environmentName string

@description('Whether the app may write. false leaves it the rights to plan, for a first look at a tenant.')
param allowWrites bool = true

@description('Whether exports create their resource group where it is missing (createResourceGroup).')
param allowResourceGroups bool = true

@description('Whether the app may register Microsoft.Security where it is not (REGISTER_PROVIDER).')
param allowRegistration bool = false

@description('Whether exports have destinations whose key is fetched (destination.eventHub.authorizationRule).')
param allowEventHubKeys bool = false

@description('Whether exports go to workspaces (destination.logAnalyticsWorkspace): Defender for Cloud checks these rights of whoever writes such an export.')
param allowWorkspaces bool = false

@description('Whether the app may ask Defender for Cloud for a simulated alert, which a canary follows (CANARY).')
param allowCanaries bool = false

@description('Whether the app may read every resource, to add tags, owners and names to rows. Without it those columns stay empty.')
param allowContext bool = true

// To see: what exists, what is exported, and whether it could be.
var readActions = [
  'Microsoft.Management/managementGroups/descendants/read'
  'Microsoft.Resources/subscriptions/read'
  'Microsoft.Resources/subscriptions/resourceGroups/read'
  'Microsoft.Security/automations/validate/action'
  'Microsoft.EventHub/namespaces/read'
  'Microsoft.EventHub/namespaces/networkRuleSets/read'
  'Microsoft.EventHub/namespaces/eventhubs/read'
  'Microsoft.EventHub/namespaces/eventhubs/authorizationRules/read'
  'Microsoft.OperationalInsights/workspaces/read'
  'Microsoft.OperationsManagement/solutions/read'
  'Microsoft.Authorization/permissions/read'
  'Microsoft.Authorization/roleAssignments/read'
]

// To backfill, preview and judge freshness: the present records, through Resource Graph. A wildcard, as in Microsoft's own
// Security Reader: several of the types that Resource Graph has are no operations of the provider, and Azure refuses a
// role as a whole that names an operation which is not registered (role-based access control, permissions for security).
var recordActions = [
  'Microsoft.Security/*/read'
]

var writeActions = [
  'Microsoft.Security/automations/write'
  'Microsoft.Security/automations/delete'
]

var resourceGroupActions = [
  'Microsoft.Resources/subscriptions/resourceGroups/write'
]

var registrationActions = [
  'Microsoft.Security/register/action'
]

var keyActions = [
  'Microsoft.EventHub/namespaces/eventhubs/authorizationRules/listKeys/action'
]

var workspaceActions = [
  'Microsoft.OperationalInsights/workspaces/write'
  'Microsoft.OperationsManagement/solutions/*'
]

var canaryActions = [
  'Microsoft.Security/locations/alerts/simulate/action'
]

var readers = empty(dataPrincipalId)
  ? [
      principalId
    ]
  : [
      principalId
      dataPrincipalId
    ]
var readerRole = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(managementGroup().id, 'defender-export', environmentName)
  properties: {
    roleName: 'Defender Export (${environmentName})'
    description: 'Reads the subscriptions below and keeps their continuous exports of Defender for Cloud as declared. Nothing else.'
    type: 'CustomRole'
    assignableScopes: [
      managementGroup().id
    ]
    permissions: [
      {
        actions: concat(
          readActions,
          recordActions,
          allowWrites ? writeActions : [],
          allowWrites && allowResourceGroups ? resourceGroupActions : [],
          allowRegistration ? registrationActions : [],
          allowEventHubKeys ? keyActions : [],
          allowWorkspaces ? workspaceActions : [],
          allowCanaries ? canaryActions : []
        )
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(managementGroup().id, principalId, role.id)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: role.id
    description: 'Keeps continuous exports as declared.'
  }
}

// Rows carry the tags, owner and name of any kind of resource, and Resource Graph answers only for what one may read.
resource context 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for reader in (allowContext ? readers : []): {
    name: guid(managementGroup().id, reader, readerRole)
    properties: {
      principalId: reader
      principalType: 'ServicePrincipal'
      roleDefinitionId: tenantResourceId('Microsoft.Authorization/roleDefinitions', readerRole)
      description: 'Looks up tags, owners and names of the resources that records concern.'
    }
  }
]

@description('Resource id of the custom role.')
output roleDefinitionId string = role.id
