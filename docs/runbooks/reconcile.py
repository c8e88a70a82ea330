"""Put an export, reconcile, wait, and fail when something is left to a person: a runbook in Python 3.10 or newer.

Runs wherever a managed identity is (an Azure Automation hybrid worker, a container job, a virtual machine):
    pip install azure-identity requests
    python reconcile.py https://my-app.azurewebsites.net api://<client id> soc-alerts.yaml
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import requests
from azure.identity import ManagedIdentityCredential

PATIENCE = 1800  # seconds, for the whole job


def main(url: str, resource: str, file: str) -> int:
    """Return 0 when every live export equals its file, 1 when something is left to a person."""
    # A user-assigned identity is named by its client id; without one, the system-assigned identity is taken.
    identity = ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"))
    token = identity.get_token(f"{resource}/.default").token
    web = requests.Session()
    web.headers["Authorization"] = f"Bearer {token}"

    name = Path(file).stem
    stored = web.get(f"{url}/api/exports/{name}", timeout=60)
    condition = {"If-Match": stored.headers["ETag"]} if stored.status_code == 200 else {"If-None-Match": "*"}
    put = web.put(
        f"{url}/api/exports/{name}",
        data=Path(file).read_bytes(),
        headers={"Content-Type": "application/yaml", **condition},
        timeout=60,
    )
    if not put.ok:
        problem = put.json()
        for finding in problem.get("findings", ()):
            print(f"{finding['where']}: {finding['sentence']} {finding['fix']}")
        print(f"refused with {put.status_code}: {problem.get('title')}. {problem.get('detail')}")
        return 1

    # The same key after a lost answer gives the same job, not a second one.
    key = str(uuid.uuid4())
    job = web.post(
        f"{url}/api/jobs",
        params={"wait": 200},
        json={"kind": "reconcile", "exports": [name]},
        headers={"Idempotency-Key": key},
        timeout=230,
    )
    job.raise_for_status()
    waited = 0
    while job.json()["state"] in {"queued", "running"} and waited < PATIENCE:
        job = web.get(f"{url}/api/jobs/{job.json()['id']}", params={"wait": 200}, timeout=230)
        job.raise_for_status()
        waited += 200

    document = job.json()
    if document["state"] != "succeeded":
        print(f"the job is {document['state']}: {document['error']}")
        return 1
    run = document["result"]
    left = [item for item in run["items"] if {"blocked", "failed"} & {item["action"], item.get("outcome")}]
    for item in left:
        print(f"{item['id']}: {item.get('outcomeReason') or item['reason']}")
    print(f"{run['outcome']}: {run['counts']}")
    return 1 if left or run["outcome"] != "Succeeded" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
