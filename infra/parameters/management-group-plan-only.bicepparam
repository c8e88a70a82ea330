using '../management-group.bicep'

// A first look at a tenant: the app can only plan.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param allowWrites = false
param allowContext = false
