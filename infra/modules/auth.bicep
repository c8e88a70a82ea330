// Easy Auth: a caller without a valid token gets 401, never a redirect, so runbooks see a plain error.

@description('Name of the function app.')
param appName string

@description('Whether Easy Auth is on.')
param enabled bool

@description('Client id of the app registration, which has the app roles of infra/app-roles.json.')
param clientId string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource auth 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: enabled
    }
    globalValidation: {
      requireAuthentication: enabled
      unauthenticatedClientAction: enabled ? 'Return401' : 'AllowAnonymous'
      excludedPaths: [
        '/api/health'
      ]
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: enabled
        registration: {
          clientId: clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: empty(clientId)
            ? []
            : [
                clientId
                'api://${clientId}'
              ]
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}
