// Easy Auth: a caller without a valid token gets 401, never a redirect, so runbooks see a plain error.

@description('Name of the function app.')
param appName string

@description('Client id of the app registration, which has the app roles of infra/app-roles.json.')
param clientId string

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource auth 'Microsoft.Web/sites/config@2024-04-01' = {
  // checkov:skip=CKV_AZURE_13:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_63:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_65:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_66:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_80:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_88:a check of siteConfig, which authentication settings are not
  // checkov:skip=CKV_AZURE_222:a check of siteConfig, which authentication settings are not
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: [
        '/api/health'
      ]
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
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
