"""Security data of the synthetic tenant in Resource Graph's shapes, made when it is first asked for."""

from __future__ import annotations

import random
import uuid
import zlib
from collections.abc import Callable
from typing import Any

from local.tenant.state import Document, Subscription, Tenant

_RECOMMENDATIONS = (
    ("f97aa83c-9b63-4f9a-99f6-b22c4398f936", "SQL servers on machines should have findings resolved", "High", True),
    ("1195afff-c881-495e-9bc5-1486211ae03f", "Machines should have vulnerability findings resolved", "Low", True),
    ("dbd0cb49-b563-45e7-9724-889e799fa648", "Container images should have findings resolved", "High", True),
    ("e3de1cc0-f4dd-3b34-e496-8b5381ba2d70", "Key vaults should have soft delete enabled", "Medium", False),
    ("1c5de8e1-f68d-6a17-e0d2-ec259c42768c", "Secure transfer to storage accounts should be enabled", "High", False),
)
_SEVERITIES = ("High", "Medium", "Low")
_STATES = ("Healthy", "Unhealthy", "Unhealthy", "NotApplicable")
_STANDARDS = (("Microsoft-cloud-security-benchmark", ("NS.1", "IM.3")), ("PCI-DSS-4", ("1.2.1",)))
_CONTROLS = (
    ("ControlMfa", "Enable MFA", 10),
    ("ControlPatch", "Apply system updates", 6),
    ("ControlNet", "Network", 4),
)

ASSESSMENTS = "microsoft.security/assessments"
SUB_ASSESSMENTS = "microsoft.security/assessments/subassessments"
ALERTS = "microsoft.security/locations/alerts"
SCORES = "microsoft.security/securescores"
CONTROLS = "microsoft.security/securescores/securescorecontrols"
REGULATORY = (
    "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments"
)
ATTACK_PATHS = "microsoft.security/attackpaths"


class SecurityData:
    """Records by subscription and type; each pair follows from the seed and is made once.

    Each machine has an individual recommendation, of the model of 2026.  `old_model` adds what was there until July
    2026: recommendations that group findings, and the findings.
    """

    def __init__(self, tenant: Tenant, seed: int, *, old_model: bool = True) -> None:
        self._old_model = old_model
        self._tenant = tenant
        self._seed = seed
        self._made: dict[tuple[str, str], list[Document]] = {}
        self._makers: dict[str, Callable[[Subscription, random.Random], list[Document]]] = {
            ASSESSMENTS: self._assessments,
            SUB_ASSESSMENTS: self._sub_assessments,
            ALERTS: self._alerts,
            SCORES: self._scores,
            CONTROLS: self._controls,
            REGULATORY: self._regulatory,
            ATTACK_PATHS: self._attack_paths,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types there are, in lower case."""
        return tuple(self._makers)

    def __call__(self, subscription: Subscription, kind: str) -> list[Document]:
        """A subscription's records of one type, as `securityresources` rows."""
        key = (subscription.id, kind.lower())
        if key not in self._made:
            maker = self._makers.get(key[1])
            chance = random.Random(zlib.crc32(f"{self._seed}/{subscription.id}/{kind}".encode()))
            self._made[key] = maker(subscription, chance) if maker else []
        return self._made[key]

    def add(self, subscription_id: str, record: Document) -> None:
        """Add a record to a subscription."""
        subscription = self._tenant.subscription(subscription_id)
        kind = record["type"].lower()
        self._made[(subscription.id, kind)] = [*self(subscription, kind), record]
        self._tenant.resources.version += 1

    def remove(self, subscription_id: str, kind: str) -> None:
        """Take away a subscription's records of one type."""
        self._made[(self._tenant.subscription(subscription_id).id, kind.lower())] = []
        self._tenant.resources.version += 1

    def take_away(self, subscription_id: str, *record_ids: str) -> None:
        """Take away some of a subscription's records, by their ids in any casing."""
        subscription = self._tenant.subscription(subscription_id)
        gone = {each.lower() for each in record_ids}
        for kind in self.kinds:
            self._made[(subscription.id, kind)] = [
                each for each in self(subscription, kind) if each["id"].lower() not in gone
            ]
        self._tenant.resources.version += 1

    def _targets(self, subscription: Subscription) -> list[str]:
        kinds = ("Microsoft.Compute/virtualMachines", "Microsoft.Storage/storageAccounts", "Microsoft.Sql/servers")
        return [document["id"] for kind in kinds for document in self._tenant.resources_of(subscription.id, kind)] or [
            subscription.scope
        ]

    def _assessments(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        classic = [each for each in _RECOMMENDATIONS if self._old_model or not each[3]]
        rows = [
            self._assessment(subscription, chance, target, recommendation)
            for target in self._targets(subscription)
            for recommendation in chance.sample(classic, k=min(3, len(classic)))
        ]
        machines = self._tenant.resources_of(subscription.id, "Microsoft.Compute/virtualMachines")
        return [self._individual(subscription, machine["id"]) for machine in machines] + rows

    def _individual(self, subscription: Subscription, machine: str) -> Document:
        """The update of a package on a machine, in the casing in which Resource Graph has it."""
        # Of its own numbers, so that what else there is stays as it was.
        chance = random.Random(zlib.crc32(f"{self._seed}/{machine}/update".encode()))
        own = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        cve, name = f"CVE-2026-{chance.randint(1000, 9999)}", chance.choice(("openssl", "curl", "libxml2", "zlib"))
        return _row(
            subscription,
            f"{machine}/providers/Microsoft.Security/assessments/{own}",
            ASSESSMENTS,
            {
                "displayName": f"Update {name}",
                "resourceDetails": {
                    "Source": "Azure",
                    "Id": machine,
                    "ResourceName": machine.rsplit("/", 1)[-1],
                    "ResourceType": "Microsoft.Compute/virtualMachines",
                    "ResourceProvider": "Microsoft.Compute",
                },
                "status": {"code": "Unhealthy", "statusChangeDate": _moment(chance)},
                "metadata": {
                    "displayName": f"Update {name}",
                    "assessmentType": "DynamicBuiltIn",
                    "severity": chance.choice(("Critical", *_SEVERITIES)),
                    "recommendationCategory": "SoftwareUpdate",
                    "preview": False,
                },
                "risk": {"level": chance.choice(("Critical", *_SEVERITIES)), "isContextualRisk": False},
                "additionalData": {
                    "SoftwareName": name,
                    "SoftwareVendor": "ubuntu",
                    "DetectedSoftwareVersions": '["1.2.3"]',
                    "FixedVersion": "1.2.4",
                    "FixStatus": "FixAvailable",
                    "MaxCvssScore": str(chance.randint(40, 98) / 10),
                    "CvesDetails": f'[{{"CveId":"{cve}","FixStatus":"FixAvailable","FixedVersion":"1.2.4"}}]',
                },
            },
        )

    def _assessment(
        self, subscription: Subscription, chance: random.Random, target: str, recommendation: tuple[str, str, str, bool]
    ) -> Document:
        name, title, severity, _ = recommendation
        return _row(
            subscription,
            f"{target}/providers/Microsoft.Security/assessments/{name}",
            ASSESSMENTS,
            {
                "resourceDetails": {
                    "Source": "Azure",
                    "Id": target,
                    "ResourceName": target.rsplit("/", 1)[-1],
                    "ResourceType": target.split("/")[-2],
                    "ResourceProvider": "Microsoft.Compute",
                },
                "displayName": title,
                "status": {
                    "code": chance.choice(_STATES),
                    "statusChangeDate": _moment(chance),
                    "firstEvaluationDate": "2021-03-14T00:00:00Z",
                },
                "metadata": {
                    "displayName": title,
                    "assessmentType": "BuiltIn",
                    "description": f"{title}. <br>Findings weaken the resource.",
                    "remediationDescription": "<ol><li>Open the resource</li><li>Apply the fix</li></ol>",
                    "categories": ["Compute"],
                    "severity": severity,
                    "userImpact": "Low",
                    "implementationEffort": "Low",
                    "threats": ["dataExfiltration", "maliciousInsider"],
                    "policyDefinitionId": f"/providers/Microsoft.Authorization/policyDefinitions/{name}",
                },
                "links": {"azurePortal": f"portal.azure.com/#blade/assessment/{name}"},
            },
        )

    def _sub_assessments(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        if not self._old_model:
            return []
        with_findings = {name for name, _, _, findings in _RECOMMENDATIONS if findings}
        return [
            self._sub_assessment(subscription, chance, assessment)
            for assessment in self(subscription, ASSESSMENTS)
            if assessment["name"] in with_findings
            for _ in range(2)
        ]

    def _sub_assessment(self, subscription: Subscription, chance: random.Random, parent: Document) -> Document:
        finding = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        cve = f"CVE-2026-{chance.randrange(1000, 9999)}"
        return _row(
            subscription,
            f"{parent['id']}/subAssessments/{finding}",
            SUB_ASSESSMENTS,
            {
                "id": cve,
                "displayName": f"{cve}: update the package",
                "status": {"code": "Unhealthy", "severity": chance.choice(_SEVERITIES)},
                "remediation": "Update to the fixed version.",
                "impact": "Remote code execution",
                "category": "Vulnerability",
                "description": "A published vulnerability",
                "timeGenerated": _moment(chance),
                "resourceDetails": {"source": "Azure", "id": parent["properties"]["resourceDetails"]["Id"]},
                "additionalData": {
                    "assessedResourceType": "ServerVulnerability",
                    "cve": [{"title": cve, "link": f"https://nvd.nist.gov/vuln/detail/{cve}"}],
                    "cvss": {"3.0": {"base": round(chance.uniform(2, 10), 1)}},
                    "patchable": True,
                },
            },
        )

    def _alerts(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        rows = []
        for target in chance.choices(self._targets(subscription), k=2):
            name = str(chance.getrandbits(60)) + "_" + str(uuid.UUID(int=chance.getrandbits(128), version=4))
            when = _moment(chance)
            rows.append(
                _row(
                    subscription,
                    f"{subscription.scope}/resourceGroups/rg-app/providers/Microsoft.Security"
                    f"/locations/westeurope/alerts/{name}",
                    ALERTS,
                    {
                        "status": chance.choice(("Active", "Dismissed", "Resolved")),
                        "severity": chance.choice((*_SEVERITIES, "Informational")),
                        "systemAlertId": name,
                        "alertType": "VM_SuspectScreenSaver",
                        "alertDisplayName": "Suspicious screensaver process executed",
                        "description": "A process was seen that should not be there.",
                        "intent": "Persistence, CredentialAccess",
                        "vendorName": "Microsoft",
                        "productName": "Microsoft Defender for Cloud",
                        "productComponentName": "Servers",
                        "compromisedEntity": target.rsplit("/", 1)[-1],
                        "startTimeUtc": when,
                        "endTimeUtc": when,
                        "timeGeneratedUtc": when,
                        "processingEndTimeUtc": when,
                        "isIncident": False,
                        "resourceIdentifiers": [{"type": "AzureResource", "azureResourceId": target}],
                        "entities": [{"$id": "1", "type": "host", "hostName": target.rsplit("/", 1)[-1]}],
                        "extendedProperties": {"resourceType": "Virtual Machine"},
                        "remediationSteps": ["Run a full scan."],
                        "alertUri": f"https://portal.azure.com/#blade/alert/{name}",
                    },
                )
            )
        return rows

    def _scores(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        share = round(chance.uniform(0.3, 0.95), 4)
        properties = {
            "displayName": "ASC score",
            "environment": "Azure",
            "score": {"max": 50, "current": round(50 * share, 2), "percentage": share},
            "weight": chance.randrange(1, 400),
        }
        id_ = f"{subscription.scope}/providers/Microsoft.Security/secureScores/ascScore"
        return [_row(subscription, id_, SCORES, properties)]

    def _controls(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        base = f"{subscription.scope}/providers/Microsoft.Security/secureScores/ascScore/secureScoreControls"
        rows = []
        for name, title, most in _CONTROLS:
            share = round(chance.random(), 4)
            definition = {
                "id": f"/providers/Microsoft.Security/secureScoreControlDefinitions/{name}",
                "name": name,
                "type": "Microsoft.Security/secureScoreControlDefinitions",
                "properties": {
                    "source": {"sourceType": "BuiltIn"},
                    "displayName": title,
                    "maxScore": most,
                    "assessmentDefinitions": [{"id": f"/assessments/{one[0]}"} for one in _RECOMMENDATIONS],
                },
            }
            properties = {
                "displayName": title,
                "environment": "Azure",
                "healthyResourceCount": chance.randrange(20),
                "unhealthyResourceCount": chance.randrange(20),
                "notApplicableResourceCount": 0,
                "score": {"max": most, "current": round(most * share, 2), "percentage": share},
                "definition": definition,
                "weight": chance.randrange(1, 400),
            }
            rows.append(_row(subscription, f"{base}/{name}", CONTROLS, properties))
        return rows

    def _regulatory(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        standards = f"{subscription.scope}/providers/Microsoft.Security/regulatoryComplianceStandards"
        return [
            _row(
                subscription,
                f"{standards}/{standard}/regulatoryComplianceControls/{control}"
                f"/regulatoryComplianceAssessments/{recommendation}",
                REGULATORY,
                {
                    "description": title,
                    "state": chance.choice(("Passed", "Failed", "Skipped", "Unsupported")),
                    "passedResources": chance.randrange(9),
                    "failedResources": chance.randrange(9),
                    "skippedResources": 0,
                    "assessmentType": "BuiltIn",
                    "assessmentDetailsLink": f"https://portal.azure.com/#blade/assessment/{recommendation}",
                },
            )
            for standard, controls in _STANDARDS
            for control in controls
            for recommendation, title, _, _ in _RECOMMENDATIONS[:2]
        ]

    def _attack_paths(self, subscription: Subscription, chance: random.Random) -> list[Document]:
        if chance.getrandbits(1):
            return []
        entry, target = self._targets(subscription)[0], self._targets(subscription)[-1]
        name = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        return [
            _row(
                subscription,
                f"{subscription.scope}/providers/Microsoft.Security/attackPaths/{name}",
                ATTACK_PATHS,
                {
                    "displayName": "Internet exposed VM with high severity vulnerabilities reaches a data store",
                    "description": "A machine that the internet reaches can read sensitive data.",
                    "attackPathType": "Cloud",
                    "riskLevel": chance.choice(("Critical", "High", "Medium", "Low")),
                    "riskFactors": ["Internet Exposure", "Sensitive Data"],
                    "potentialImpact": "Data leaves the tenant.",
                    "entryPointEntityInternalID": entry,
                    "targetEntityInternalID": target,
                    "assessments": [{"id": f"{entry}/providers/Microsoft.Security/assessments/x"}],
                    "graphComponent": {
                        "insights": [],
                        "entities": [
                            {"id": one, "entityType": "resource", "entityIdentifiers": {"azureResourceId": one}}
                            for one in (entry, target)
                        ],
                        "connections": [{"sourceEntityId": entry, "targetEntityId": target}],
                    },
                },
            )
        ]


def _row(subscription: Subscription, id_: str, kind: str, properties: dict[str, Any]) -> Document:
    group = id_.lower().partition("/resourcegroups/")[2].partition("/")[0]
    return {
        "id": id_,
        "name": id_.rsplit("/", 1)[-1],
        "type": kind,
        "tenantId": subscription.tenant_id,
        "kind": "",
        "location": "",
        "resourceGroup": group,
        "subscriptionId": subscription.id,
        "tags": None,
        "properties": properties,
    }


def _moment(chance: random.Random) -> str:
    day, second = chance.randrange(1, 29), chance.randrange(86_400)
    return f"2026-10-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
