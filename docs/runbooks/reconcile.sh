#!/usr/bin/env bash
# Put an export, reconcile, wait, and fail when a subscription is blocked, with the Azure CLI alone.
#   URL=https://my-app.azurewebsites.net RESOURCE=api://<client id> ./reconcile.sh soc-alerts.yaml
set -euo pipefail
az login --identity --output none
name=$(basename "$1" .yaml)

stored=$(az rest --method get --url "$URL/api/exports" --resource "$RESOURCE" \
    --query "value[?name=='$name'].etag | [0]" --output tsv)
if [ -n "$stored" ]; then condition="If-Match=$stored"; else condition="If-None-Match=*"; fi
az rest --method put --url "$URL/api/exports/$name" --resource "$RESOURCE" \
    --headers "Content-Type=application/yaml" "$condition" --body "@$1" --output none

job=$(az rest --method post --url "$URL/api/jobs" --resource "$RESOURCE" \
    --headers "Content-Type=application/json" "Idempotency-Key=$(cat /proc/sys/kernel/random/uuid)" \
    --body "{\"kind\": \"reconcile\", \"exports\": [\"$name\"]}" --query id --output tsv)

for _ in $(seq 10); do
    state=$(az rest --method get --url "$URL/api/jobs/$job?wait=180" --resource "$RESOURCE" --query state --output tsv)
    case $state in queued | running) ;; *) break ;; esac
done
az rest --method get --url "$URL/api/jobs/$job" --resource "$RESOURCE" \
    --query "result.{outcome: outcome, blocked: counts.Blocked, reason: reason}" --output table
outcome=$(az rest --method get --url "$URL/api/jobs/$job" --resource "$RESOURCE" \
    --query "join(' ', [state, result.outcome || '', to_string(result.counts.Blocked)])" --output tsv)
[ "$outcome" = "succeeded Succeeded 0" ]
