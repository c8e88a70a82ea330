using '../management-group.bicep'

// The rights to keep exports in force, and no more.

param principalId = '77777777-7777-7777-7777-777777777777' // output principalId of main.bicep
param environmentName = 'prod'
