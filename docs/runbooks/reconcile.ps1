<#
Put an export, reconcile, wait, and fail when something is left to a person: a runbook for Azure Automation (PowerShell 7).
The Automation account's managed identity holds the app role Exports.Write.
#>
param(
    [Parameter(Mandatory)] [string] $Url,       # https://my-app.azurewebsites.net
    [Parameter(Mandatory)] [string] $Resource,  # api://<client id>
    [Parameter(Mandatory)] [string] $Name,      # of the export
    [Parameter(Mandatory)] [string] $Yaml,
    [string] $ClientId                          # of a user-assigned identity; without it the system-assigned one
)
$ErrorActionPreference = "Stop"

$identity = if ($ClientId) { @{ AccountId = $ClientId } } else { @{} }
Connect-AzAccount -Identity @identity | Out-Null
$token = (Get-AzAccessToken -ResourceUrl $Resource -AsSecureString).Token
$access = @{ Authentication = "Bearer"; Token = $token; SkipHttpErrorCheck = $true; StatusCodeVariable = "status" }

function Stop-WhenRefused($answer) {
    if ($status -lt 400) { return }
    $answer.findings | Where-Object { $_ } | ForEach-Object { Write-Output "$($_.where): $($_.sentence) $($_.fix)" }
    throw "Refused with ${status}: $($answer.title). $($answer.detail)"
}

$stored = Invoke-RestMethod @access -Method Get -Uri "$Url/api/exports/$Name" -ResponseHeadersVariable headers
if ($status -eq 200) { $condition = @{ "If-Match" = [string] $headers["ETag"] }
} elseif ($status -eq 404) { $condition = @{ "If-None-Match" = "*" }
} else { Stop-WhenRefused $stored }
$put = Invoke-RestMethod @access -Method Put -Uri "$Url/api/exports/$Name" `
    -Headers $condition -ContentType "application/yaml; charset=utf-8" -Body $Yaml
Stop-WhenRefused $put

# The same key after a lost answer gives the same job, not a second one.
$body = @{ kind = "reconcile"; exports = @($Name) } | ConvertTo-Json -Compress
$job = Invoke-RestMethod @access -Method Post -Uri "$Url/api/jobs?wait=200" -MaximumRetryCount 3 -RetryIntervalSec 5 `
    -Headers @{ "Idempotency-Key" = [guid]::NewGuid().ToString() } -ContentType "application/json" -Body $body
Stop-WhenRefused $job

$deadline = (Get-Date).AddMinutes(30)
while ($job.state -in "queued", "running" -and (Get-Date) -lt $deadline) {
    $job = Invoke-RestMethod @access -Method Get -Uri "$Url/api/jobs/$($job.id)?wait=200"
    Stop-WhenRefused $job
}
if ($job.state -ne "succeeded") { throw "The job is $($job.state): $($job.error)" }

$left = @($job.result.items | Where-Object { $_.action -eq "blocked" -or $_.outcome -in "blocked", "failed" })
$left | ForEach-Object { Write-Output "$($_.id): $(if ($_.outcomeReason) { $_.outcomeReason } else { $_.reason })" }
Write-Output "$($job.result.outcome): $($job.result.counts | ConvertTo-Json -Compress)"
if ($left -or $job.result.outcome -ne "Succeeded") { throw "Something is left to a person; see above." }
