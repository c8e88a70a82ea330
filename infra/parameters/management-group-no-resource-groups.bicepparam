using '../management-group.bicep'

// Exports go to resource groups that exist.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param allowResourceGroups = false
