using '../management-group.bicep'

// Plan only, and yet with the switch for resource groups: without writes it adds nothing.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param allowWrites = false
param allowResourceGroups = true
param allowContext = false
