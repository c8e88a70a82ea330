using '../main.bicep'

// All that can be off is off: the least that is of use, in a region without zones.

param environmentName = 'least'
param location = 'westeurope'
param storageSku = 'Standard_LRS'
param partitionCount = 1
param throughputUnits = 1
param maximumThroughputUnits = 1
param eventRetentionInDays = 1
param retentionInDays = 4
param totalRetentionInDays = 4
param tablePlan = 'Basic'
param instanceMemoryMB = 512
