using '../management-group.bicep'

// Every permission, and a data plane apart.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param dataPrincipalId = '88888888-8888-8888-8888-888888888888' // output dataPrincipalId of main.bicep
param allowRegistration = true
param allowEventHubKeys = true
param allowWorkspaces = true
param allowCanaries = true
