using '../management-group.bicep'

// Exports may go to workspaces.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param allowWorkspaces = true
