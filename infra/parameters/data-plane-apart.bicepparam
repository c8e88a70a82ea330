using '../main.bicep'

// Two apps: what reads the hub holds no right to change exports.

param environmentName = 'apart'
param location = 'westeurope'
param separateDataPlane = true
param forwardRows = true
param alwaysReady = [
  {
    name: 'http'
    instanceCount: 1
  }
  {
    name: 'function:enrich_records'
    instanceCount: 1
  }
]
param lockData = true
param storageSku = 'Standard_RAGZRS'
param instanceId = 'prod'
