#!/usr/bin/env bash
# Put an export, reconcile, wait, and fail when something is left to a person: with the Azure CLI, curl and jq.
#   URL=https://my-app.azurewebsites.net RESOURCE=api://<client id> ./reconcile.sh soc-alerts.yaml
# A user-assigned identity is named by AZURE_CLIENT_ID; without it the system-assigned one is taken.
set -euo pipefail
az login --identity ${AZURE_CLIENT_ID:+--client-id "$AZURE_CLIENT_ID"} --allow-no-subscriptions --output none
token=$(az account get-access-token --resource "$RESOURCE" --query accessToken --output tsv)
name=$(basename "$1" .yaml)
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call METHOD PATH [curl's arguments]: the body goes to $answer, the status to standard output. The token is no argument:
# those can be read by whoever lists the machine's processes.
call() {
    curl --silent --show-error --max-time 230 --config <(printf 'header = "Authorization: Bearer %s"\n' "$token") \
        --output "$answer" --write-out '%{http_code}' --request "$1" "$URL$2" "${@:3}"
}

refused() {
    jq --raw-output '(.findings // [])[] | "\(.where): \(.sentence) \(.fix)"' "$answer"
    jq --raw-output '"\(.title): \(.detail // "")"' "$answer" >&2
    exit 1
}

status=$(call GET "/api/exports/$name" --dump-header "$answer.headers")
etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: *\(.*\)\r$/\1/p' "$answer.headers")
rm -f "$answer.headers"
case $status in 200) condition="If-Match: $etag" ;; 404) condition="If-None-Match: *" ;; *) refused ;; esac
status=$(call PUT "/api/exports/$name" --header "Content-Type: application/yaml" --header "$condition" --data-binary "@$1")
case $status in 2*) ;; *) refused ;; esac

# The same key after a lost answer gives the same job, not a second one.
status=$(call POST "/api/jobs?wait=200" --header "Content-Type: application/json" \
    --header "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
    --data "$(jq --null-input --compact-output --arg name "$name" '{kind: "reconcile", exports: [$name]}')" --retry 3)
case $status in 2*) ;; *) refused ;; esac
job=$(jq --raw-output .id "$answer")
for _ in $(seq 10); do
    case $(jq --raw-output .state "$answer") in queued | running) ;; *) break ;; esac
    status=$(call GET "/api/jobs/$job?wait=200")
    case $status in 2*) ;; *) refused ;; esac
done

jq --raw-output 'if .state == "succeeded" then
    (.result.items[] | select([.action, .outcome] | index("blocked") or index("failed")) |
        "\(.id): \(.outcomeReason // .reason)"),
    "\(.result.outcome): \(.result.counts | tojson)"
  else "the job is \(.state): \(.error // "not done yet")" end' "$answer"
jq --exit-status '.state == "succeeded" and .result.outcome == "Succeeded" and
    ([.result.items[] | select([.action, .outcome] | index("blocked"))] | length) == 0' "$answer" >/dev/null
