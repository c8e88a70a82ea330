// The types of parameters that are more than a text or a number, and what is asked of a text before anything is sent.

@export()
@description('Tags, by name.')
@metadata({ limit: 'Azure takes 50 tags on a resource; three are the deployment\'s own.' })
type Tags = {
  @maxLength(256)
  *: string
}

@export()
@description('Analytics: what functions, alerts and the workbook ask. Basic: cheaper to fill, thirty days, one table at a time, no function and no alert.')
type TablePlan = 'Analytics' | 'Basic'

@export()
@description('Plans of single tables of records. The tables that the app writes about itself are always Analytics: the alerts stand on them.')
@sealed()
type TablePlans = {
  DefenderAlerts_CL: TablePlan?
  DefenderAssessments_CL: TablePlan?
  DefenderSubAssessments_CL: TablePlan?
  DefenderSecureScores_CL: TablePlan?
  DefenderSecureScoreControls_CL: TablePlan?
  DefenderRegulatoryCompliance_CL: TablePlan?
  DefenderAttackPaths_CL: TablePlan?
  DefenderOther_CL: TablePlan?
}

@export()
@description('Groups of functions that scale together: all of HTTP, and each other function alone.')
type FunctionGroup =
  | 'http'
  | 'function:enrich_records'
  | 'function:retry_dead_letters'
  | 'function:reconcile_exports'
  | 'function:check_freshness'
  | 'function:send_news'
  | 'function:close_gone'
  | 'function:refresh_cves'
  | 'function:run_job'

@export()
@description('Instances of one group that never go to sleep.')
@sealed()
type AlwaysReady = {
  name: FunctionGroup

  @minValue(1)
  @maxValue(1000)
  instanceCount: int
}

@export()
@description('App settings, by name.')
type Settings = {
  *: string
}

@export()
@description('Names of the blob containers, by use.')
@sealed()
type ContainerNames = {
  deployments: string
  exports: string
  reports: string
  deadLetters: string
  oversize: string
}

@export()
@description('Recreate ends what runs and starts anew. RollingUpdate (preview) lets it end, for up to an hour, beside the new release.')
type UpdateStrategy = 'Recreate' | 'RollingUpdate'

@export()
@description('Replication of the storage account. Dead letters are the last copy of a record.')
type StorageSku =
  | 'Standard_LRS'
  | 'Standard_ZRS'
  | 'Standard_GRS'
  | 'Standard_GZRS'
  | 'Standard_RAGRS'
  | 'Standard_RAGZRS'

@export()
@description('Stream declarations of a data collection rule, by name of the stream.')
type Streams = {
  *: StreamDeclaration
}

@description('The columns of one stream.')
type StreamDeclaration = {
  columns: StreamColumn[]
}

@description('A column of a stream.')
type StreamColumn = {
  name: string
  type: string
}

@export()
@description('Kinds of principal that roles are assigned to.')
type PrincipalType = 'User' | 'Group' | 'ServicePrincipal'

@export()
@description('Whether a text consists of the given characters only.')
func consistsOf(text string, characters string) bool =>
  empty(filter(range(0, length(text)), place => !contains(characters, substring(text, place, 1))))

@export()
@description('Whether a text has the form of an object id, 8-4-4-4-12 hexadecimal digits, and is not all zeros.')
func isId(text string) bool =>
  consistsOf(toLower(text), '0123456789abcdef-') && map(split(text, '-'), part => length(part)) == [8, 4, 4, 4, 12] && !consistsOf(
    text,
    '0-'
  )

@export()
@description('Whether a text is the id of a resource of the given type, below a resource group.')
func isResourceId(text string, type string) bool =>
  length(split(text, '/')) == 9
    ? toLower(join(map([1, 3, 5, 6, 7], at => split(text, '/')[at]), '/')) == toLower('subscriptions/resourceGroups/providers/${type}') && isId(split(
        text,
        '/'
      )[2]) && !empty(split(text, '/')[4]) && !empty(split(text, '/')[8])
    : false

@export()
@description('Whether a text looks like one plain mail address.')
func isMail(text string) bool =>
  length(split(text, '@')) == 2 && !startsWith(text, '@') && contains(split('${text}@', '@')[1], '.') && !contains(
    text,
    ' '
  )
