using 'main.bicep'

// What azd up deploys, from the environment of azd. Other parameters of main.bicep are added here.

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param workspaceResourceId = readEnvironmentVariable('WORKSPACE_RESOURCE_ID', '')
param reconcileMode = readEnvironmentVariable('RECONCILE_MODE', 'plan')
param authMode = readEnvironmentVariable('AUTH_MODE', 'key')
param authClientId = readEnvironmentVariable('AUTH_CLIENT_ID', '')
param securityProviderPrincipalId = readEnvironmentVariable('SECURITY_PROVIDER_PRINCIPAL_ID', '')
param operatorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')

// azd says of whom it runs as whether that is a person or a pipeline's service principal.
param operatorPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
