using '../main.bicep'

// The workspace of another team, which has Microsoft Sentinel on it: incidents from the tables.

param environmentName = 'soc'
param location = 'westeurope'
param workspaceResourceId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-sentinel/providers/Microsoft.OperationalInsights/workspaces/log-sentinel'
param securityProviderPrincipalId = '55555555-5555-5555-5555-555555555555'
param sentinel = true
