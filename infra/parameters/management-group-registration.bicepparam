using '../management-group.bicep'

// The app may register Microsoft.Security.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
param allowRegistration = true
