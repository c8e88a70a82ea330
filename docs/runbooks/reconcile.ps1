<#
Put an export, reconcile, wait, and fail when a subscription is blocked: a runbook for Azure Automation (PowerShell 7).
The Automation account's managed identity holds the app role Exports.Write.
#>
param(
    [Parameter(Mandatory)] [string] $Url,       # https://my-app.azurewebsites.net
    [Parameter(Mandatory)] [string] $Resource,  # api://<client id>
    [Parameter(Mandatory)] [string] $Name,      # of the export
    [Parameter(Mandatory)] [string] $Yaml
)
$ErrorActionPreference = "Stop"

Connect-AzAccount -Identity | Out-Null
$token = (Get-AzAccessToken -ResourceUrl $Resource -AsSecureString).Token
$access = @{ Authentication = "Bearer"; Token = $token }

Invoke-RestMethod @access -Method Put -Uri "$Url/api/exports/$Name" `
    -Headers @{ "If-Match" = "*" } -ContentType "application/yaml; charset=utf-8" -Body $Yaml `
    -SkipHttpErrorCheck -StatusCodeVariable status | Out-Null
if ($status -eq 412) {
    # There was none to replace: create it.
    Invoke-RestMethod @access -Method Put -Uri "$Url/api/exports/$Name" `
        -Headers @{ "If-None-Match" = "*" } -ContentType "application/yaml; charset=utf-8" -Body $Yaml | Out-Null
}
elseif ($status -ge 400) { throw "The export was refused with $status." }

$body = @{ kind = "reconcile"; exports = @($Name) } | ConvertTo-Json -Compress
$job = Invoke-RestMethod @access -Method Post -Uri "$Url/api/jobs?wait=200" `
    -Headers @{ "Idempotency-Key" = [guid]::NewGuid().ToString() } -ContentType "application/json" -Body $body

$deadline = (Get-Date).AddMinutes(30)
while ($job.state -in "queued", "running" -and (Get-Date) -lt $deadline) {
    $job = Invoke-RestMethod @access -Method Get -Uri "$Url/api/jobs/$($job.id)?wait=200"
}
if ($job.state -ne "succeeded") { throw "The job is $($job.state): $($job.error)" }

$blocked = $job.result.items | Where-Object { $_.action -eq "blocked" -or $_.outcome -eq "blocked" }
$blocked | ForEach-Object { Write-Output "$($_.id): $(if ($_.outcomeReason) { $_.outcomeReason } else { $_.reason })" }
Write-Output "$($job.result.outcome): $($job.result.counts | ConvertTo-Json -Compress)"
if ($blocked -or $job.result.outcome -ne "Succeeded") { throw "Something is left to a person; see above." }
