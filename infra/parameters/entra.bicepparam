using '../main.bicep'

// Callers prove themselves by Entra tokens; a Key Vault reference, keys for a sender, rows forwarded, and Basic tables.

param environmentName = 'entra'
param location = 'westeurope'
param authMode = 'entra'
param authClientId = '33333333-3333-3333-3333-333333333333' // the client id of your app registration
param allowEventHubKeys = true
param forwardRows = true
param tablePlans = {
  DefenderAttackPaths_CL: 'Basic'
}
param settings = {
  CROSS_TENANT_CREDENTIAL: 'secret'
  CROSS_TENANT_CLIENT_SECRET: '@Microsoft.KeyVault(SecretUri=https://example.vault.azure.net/secrets/cross-tenant)'
}
param updateStrategy = 'RollingUpdate'
param tags = {
  costCenter: '4711'
}
