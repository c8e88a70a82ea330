using '../main.bicep'

// Many subscriptions, nothing reached over the internet but the API, and that with Entra only.

param environmentName = 'prod'
param location = 'westeurope'
param partitionCount = 32
param throughputUnits = 2
param maximumThroughputUnits = 20
param retentionInDays = 180
param totalRetentionInDays = 730
param privateNetworking = true
param separateDataPlane = true
param alwaysReady = [
  {
    name: 'function:enrich_records'
    instanceCount: 2
  }
]
param authMode = 'entra'
param authClientId = '33333333-3333-3333-3333-333333333333' // the client id of your app registration
param reconcileMode = 'plan'
param alertEmails = [
  'cloud-security@example.com'
]
