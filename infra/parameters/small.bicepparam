using '../main.bicep'

// A first look, or a tenant of a few subscriptions.

param environmentName = 'small'
param location = 'westeurope'
param partitionCount = 4
param maximumThroughputUnits = 4
param retentionInDays = 30
param totalRetentionInDays = 90
param reconcileMode = 'plan'
