using '../main.bicep'

// The tables lie in the workspace of another team, in a subscription of theirs.

param environmentName = 'shared'
param location = 'westeurope'
param workspaceResourceId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-sentinel/providers/Microsoft.OperationalInsights/workspaces/log-sentinel'
param securityProviderPrincipalId = '55555555-5555-5555-5555-555555555555'
param operatorPrincipalId = '66666666-6666-6666-6666-666666666666'
