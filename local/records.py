"""Exported records as Defender for Cloud sends them, made up: all kinds, casings and shapes, seeded.

    for event in generate(seed=7, subscriptions=ids, count=1000):
        send(event.body)

Sizes are as observed (median near 2 KB, alerts up to 60 KB); shares of duplicates, late and bad events are given by the
caller.  The same arguments give the same bytes.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

Record = dict[str, Any]

KINDS: Mapping[str, int] = {
    "Assessment": 66,
    "SubAssessment": 4,
    "Alert": 8,
    "RegulatoryCompliance": 10,
    "SecureScoreControl": 7,
    "SecureScore": 2,
    "AttackPath": 2,
    "Other": 1,
}
"""Kinds with their shares in percent since August 2026: findings are recommendations of their own.

Government clouds may still send findings of the old model.
"""
OLD_MODEL: Mapping[str, int] = {**KINDS, "Assessment": 30, "SubAssessment": 40}
"""The shares until July 2026, for history: grouped recommendations with a finding a vulnerability."""
INDIVIDUAL: Mapping[str, int] = {
    "machine": 40,
    "image": 14,
    "container": 8,
    "secret": 3,
    "code": 5,
    "sql": 10,
    "classic": 20,
}
"""What a recommendation is about, with shares in percent; the classic ones are those that no category groups."""

BAD = (
    b"",
    b"not json at all",
    b'{"type": "Microsoft.Security/assessments", "id": "/subscriptions/',
    b"\xff\xfe{\x00}\x00",
    b'{"id": NaN}',
    b"42",
    b"null",
)
"""Bodies that no record can be read from."""

_START = datetime(2026, 11, 1, tzinfo=UTC)
_WORDS = re.findall(
    r"\w+",
    "access account agent allow api application attacker audit authentication backup baseline blob "
    "certificate cluster compute configure container control credential data database default defender "
    "deploy detect device diagnostic disk domain enable encrypt endpoint exposure firewall function "
    "gateway group guest hub identity image install internet key kubernetes lateral log machine malware "
    "managed monitor movement network node password permission policy port private privilege protect "
    "public registry remote restrict role rule secret secure server service session setting should "
    "solution sql storage subnet subscription system threat token traffic transit update user vault "
    "virtual vulnerability web workload zone",
)
_RESOURCES = (
    ("Microsoft.Compute", "virtualMachines"),
    ("Microsoft.Storage", "storageAccounts"),
    ("Microsoft.KeyVault", "vaults"),
    ("Microsoft.Sql", "servers"),
    ("Microsoft.Web", "sites"),
    ("Microsoft.Network", "virtualNetworks"),
    ("Microsoft.ContainerService", "managedClusters"),
)
_SEVERITIES = ("High", "Medium", "Low")
_BLADES = "portal.azure.com/#blade/Microsoft_Azure_Security"
_STANDARDS = ("Azure-CSPM", "PCI-DSS-4", "ISO-27001-2022", "SOC-2", "Azure-CIS-2.0.0")
_LOCATIONS = ("westeurope", "northeurope", "eastus", "germanywestcentral")
_TACTICS = ("InitialAccess", "Execution", "Persistence", "PrivilegeEscalation", "CredentialAccess", "LateralMovement")
_TECHNIQUES = ("T1078", "T1059.001", "T1110", "T1190", "T1021.004", "T1552")


class Event(NamedTuple):
    """One event for the hub; `at` is when the record's state changed, `fault` is "", "duplicate", "late" or "bad"."""

    body: bytes
    kind: str
    at: datetime
    fault: str = ""


@dataclass(frozen=True)
class Text:
    """Words to write with."""

    rng: random.Random

    def sentence(self, low: int = 8, high: int = 22) -> str:
        """Some words with a capital and a full stop; now and then one that is not ASCII."""
        words = self.rng.choices(_WORDS, k=self.rng.randint(low, high))
        if self.rng.randrange(30) == 0:
            words.append("Schlüssel für Größe 東京")
        return " ".join(words).capitalize() + "."

    def paragraph(self, sentences: int) -> str:
        """That many sentences."""
        return " ".join(self.sentence() for _ in range(sentences))


class Generator:
    """Makes records one at a time; see `generate` for a stream with faults."""

    def __init__(self, seed: int, subscriptions: Sequence[str], tenant: str = "") -> None:
        self._rng = random.Random(seed)
        self._subscriptions = list(subscriptions) or [self._guid()]
        self._tenant = tenant or self._guid()
        self._text = Text(self._rng)

    def make(self, kind: str, at: datetime, *, snapshot: bool = False) -> Record:
        """One record of `kind` as the object that is sent, in a casing and shape picked by chance."""
        return getattr(self, f"_{kind.lower()}")(at, snapshot)  # type: ignore[no-any-return] # one method per kind

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    @cached_property
    def _recommendations(self) -> list[Record]:
        """A fixed set of recommendations: the texts repeat from resource to resource, as they do in a tenant."""
        return [
            {
                "id": self._guid(),
                "displayName": self._text.sentence(5, 12)[:-1],
                "assessmentType": self._rng.choice(["BuiltIn", "BuiltIn", "CustomPolicy"]),
                "policyDefinitionId": f"/providers/Microsoft.Authorization/policyDefinitions/{self._guid()}",
                "description": self._text.paragraph(self._rng.randint(1, 5)),
                "remediationDescription": "1. "
                + "<br>".join(
                    f'<a href="https://aka.ms/x">{self._text.sentence()}</a>' for _ in range(self._rng.randint(1, 4))
                ),
                "categories": [self._rng.choice(["Compute", "Data", "Networking", "IdentityAndAccess"])],
                "severity": self._rng.choice(_SEVERITIES),
                "userImpact": self._rng.choice(["Low", "Moderate", "High"]),
                "implementationEffort": self._rng.choice(["Low", "Moderate", "High"]),
                "threats": self._rng.sample(
                    ["accountBreach", "dataExfiltration", "maliciousInsider", "dataSpillage"], 2
                ),
            }
            for _ in range(60)
        ]

    def _resource(self) -> tuple[str, str, str, str]:
        """Subscription, full id, provider/type and name of a resource; casing as ARM and Defender mix it."""
        subscription = self._rng.choice(self._subscriptions)
        group = f"rg-{self._rng.choice(_WORDS)}-{self._rng.randint(1, 9)}"
        provider, kind = self._rng.choice(_RESOURCES)
        name = f"{self._rng.choice(_WORDS)}{self._rng.randint(1, 99):02}"
        groups = self._rng.choice(["resourceGroups", "resourcegroups"])
        path = f"/subscriptions/{subscription}/{groups}/{group}/providers/{provider}/{kind}/{name}"
        return subscription, path, kind, name

    def _enrichment(self, at: datetime, name: str, version: str, *, snapshot: bool) -> Record:
        body = {
            "action": self._rng.choices(["Write", "Insert", "Delete"], [90, 7, 3])[0],
            "apiVersion": version,
            "isSnapshot": snapshot,
        }
        if at.day % 7 == 0 and not snapshot:
            body.pop("isSnapshot")  # events of the first years have none
        twin = f"{name}EventDataEnrichment"
        return {"securityEventDataEnrichment": body} | ({twin: dict(body)} if name else {})

    def _cloud(self, subscription: str, resource: str, kind: str, name: str) -> tuple[str, Record]:
        """Resource details, mostly of Azure, now and then of another cloud, with the id it belongs to."""
        source = self._rng.choices(["Azure", "Aws", "Gcp", "OnPremise"], [88, 6, 4, 2])[0]
        provider = resource.split("/")[6]
        if source in {"Azure", "OnPremise"}:
            details = {"source": source, "id": resource, "resourceName": name, "resourceType": kind}
            return resource, details | {"resourceProvider": provider, "nativeResourceId": resource}
        entity = (
            f"/subscriptions/{subscription}/resourcegroups/connectors/providers/microsoft.security"
            f"/securityconnectors/main/securityentitydata/{source.lower()}-compute-{name}"
        )
        account = str(self._rng.randint(10**11, 10**12))
        native, region = f"arn:aws:ec2:eu-west-1:{account}:instance/{name}", "eu-west-1"
        if source == "Gcp":
            native, region = f"//compute.googleapis.com/projects/{account}/zones/eu/instances/{name}", "europe-west1"
        details = {"source": source, "id": entity, "resourceName": name, "resourceType": f"{source.lower()}.compute"}
        return entity, details | {
            "resourceProvider": source.lower(),
            "nativeCloudUniqueIdentifier": native,
            "region": region,
            "connectorId": self._guid(),
            "hierarchyId": account,
        }

    def _assessment(self, at: datetime, snapshot: bool) -> Record:
        about = self._rng.choices(list(INDIVIDUAL), list(INDIVIDUAL.values()))[0]
        return self._classic(at, snapshot) if about == "classic" else self._individual(about, at, snapshot)

    def _individual(self, about: str, at: datetime, snapshot: bool) -> Record:
        """A recommendation of the model of 2026, as Microsoft's workbooks read them: names inside in PascalCase."""
        subscription, resource, _, name = self._resource()
        group = "/".join(resource.split("/")[:6])
        category, title = "SoftwareUpdate", f"Update {self._rng.choice(_WORDS)}"
        extra: Record = {}
        if about in {"machine", "image", "container"}:
            data = self._software(at)
        if about == "machine":
            resource = f"{group}/Microsoft.Compute/virtualMachines/{name}"
            details: Record = self._pascal_details(resource, name, "Microsoft.Compute/virtualMachines")
        elif about == "image":
            digest = f"sha256:{self._rng.getrandbits(256):064x}"
            repository = f"team/{self._rng.choice(_WORDS)}"
            owner = f"{group}/Microsoft.ContainerRegistry/registries/acr{name}"
            resource = f"{owner}/securityentitydata/repositories-{repository.replace('/', '-')}-images-{digest}"
            details = {"Source": "Azure", "ResourceType": ".containerimage", "Id": resource}
            extra = {
                "Digest": digest,
                "ImageUri": f"acr{name}.azurecr.io/{repository}@{digest}",
                "RepositoryDetails": {"RegistryHost": f"acr{name}.azurecr.io", "RepositoryName": repository},
                "Tags": ["1"],
            }
        elif about == "container":
            owner = f"{group}/Microsoft.ContainerService/managedClusters/aks-{name}"
            resource = f"{owner}/securityentitydata/pods-{self._guid()}"
            details = {"Source": "Azure", "ResourceType": "K8s-container", "Id": resource}
            extra = {
                "ClusterDetails": {"ClusterName": f"aks-{name}"},
                "Namespace": self._rng.choice(_WORDS),
                "ContainerName": name,
                "ControllerKind": "Deployment",
                "ImageDetails": {"ImageUri": f"acr.azurecr.io/team/{name}:1"},
            }
        elif about == "sql":
            category, title = "Unknown", f"SQL rule: {self._text.sentence(3, 6)[:-1]}"
            resource = f"{group}/Microsoft.Sql/servers/{name}/databases/db1"
            details = {"Source": "Azure", "Id": resource}
            data = self._sql_rule(resource)
        else:
            connector = f"/subscriptions/{subscription}/resourceGroups/connectors/providers/Microsoft.Security"
            resource = f"{connector}/securityConnectors/main/devops/default/githubOwners/contoso/repos/{name}"
            details = {
                "Source": "GitHub",
                "Id": resource,
                "ResourceName": name,
                "ResourceType": "microsoft.security/securityconnectors/devops/githubowners/repos",
            }
            extra = {"BranchName": "main", "RepositoryDetails": {"HtmlUrl": f"https://github.com/contoso/{name}"}}
            category, data = self._of_code(about)
        own = self._guid()
        status: Record = {"code": "Unhealthy", "firstEvaluationDate": _stamp(at - timedelta(days=5))}
        if about == "sql" and self._chance(0.5):
            status["code"] = "Healthy"
        properties: Record = {
            "displayName": title,
            "resourceDetails": details,
            "status": status | {"statusChangeDate": _stamp(at)},
            "metadata": {
                "displayName": title,
                "assessmentType": "DynamicBuiltIn",
                "description": self._text.paragraph(2),
                "remediationDescription": f"1. {self._text.sentence()}<br>2. {self._text.sentence()}",
                "severity": self._rng.choices(["Critical", *_SEVERITIES], [10, 30, 40, 20])[0],
                "recommendationCategory": category,
                "preview": False,
                "categories": ["Compute"],
            },
            "risk": {
                "level": self._rng.choice(["Critical", "None", *_SEVERITIES]),
                "riskFactors": self._rng.sample(["Internet exposure", "Lateral movement", "Sensitive data"], 1),
                "isContextualRisk": self._chance(0.3),
                "attackPathsReferences": [],
            },
            "additionalData": data,
        }
        if extra:
            properties["resourceAdditionalData"] = json.dumps(extra, separators=(",", ":"))
        return {
            "tenantId": self._tenant,
            "type": "microsoft.security/assessments",
            "id": f"{resource}/providers/Microsoft.Security/assessments/{own}",
            "name": own,
            "properties": properties,
        } | self._enrichment(at, "assessment", "2025-05-04", snapshot=snapshot)

    def _pascal_details(self, resource: str, name: str, kind: str) -> Record:
        provider = kind.partition("/")[0]
        return {
            "Source": "Azure",
            "Id": resource,
            "ResourceName": name,
            "ResourceType": kind,
            "ResourceProvider": provider,
            "NativeResourceId": resource,
        }

    def _software(self, at: datetime) -> Record:
        """What is said of a package: lists in texts; details of each CVE went away in August 2026 for most."""
        name, version = self._rng.choice(_WORDS), f"{self._rng.randint(1, 9)}.{self._rng.randint(0, 20)}"
        fixed = self._chance(0.8)
        status = "FixAvailable" if fixed else "NoFix"
        cves: list[Record] = [
            {"CveId": cve, "FixStatus": status, "FixedVersion": f"{version}.9" if fixed else ""}
            for cve in self._cve_ids(self._rng.choice([1, 1, 2, 4, 9]))
        ]
        if self._chance(0.08):
            for cve in cves:
                score = self._rng.randint(20, 100) / 10
                cve |= {
                    "Severity": "High",
                    "Cvss": [{"Key": "3", "Value": {"Base": score, "CvssVectorString": "CVSS:3.1/AV:N"}}],
                    "PublishedDate": _stamp(at - timedelta(days=200)),
                    "Description": self._text.paragraph(2),
                }
        scanners = {"mdvm": {"CvesIds": [cve["CveId"] for cve in cves], "FixStatus": status}}
        compact = {"separators": (",", ":")}
        return {
            "SoftwareName": name,
            "SoftwareVendor": "ubuntu",
            "PackageType": "OS",
            "Language": "",
            "DetectedSoftwareVersions": json.dumps([version]),
            "FixedVersion": f"{version}.9" if fixed else "",
            "FixStatus": status,
            "MaxCvssScore": str(self._rng.randint(20, 100) / 10),
            "CvesDetails": json.dumps(cves, **compact),  # type: ignore[arg-type] # separators are no type that it names
            "ScannersDetails": json.dumps(scanners, **compact),  # type: ignore[arg-type] # as above
        }

    def _cve_ids(self, count: int) -> list[str]:
        return [f"CVE-{self._rng.randint(2015, 2026)}-{self._rng.randint(1000, 49999)}" for _ in range(count)]

    def _sql_rule(self, parent: str) -> Record:
        return {
            "Scanner": "SQL Vulnerability Assessment",
            "ParentResource": parent,
            "RuleId": f"VA{self._rng.randint(1000, 2200)}",
            "Severity": "High",
            "Category": "SurfaceAreaReduction",
            "RemediationDescription": self._text.sentence(),
            "Impact": self._text.sentence(),
            "Query": f"sys.{self._rng.choice(_WORDS)}s where state = 1",
            "Benchmarks": '[{"benchmark":"FedRAMP"}]',
        }

    def _of_code(self, about: str) -> tuple[str, Record]:
        """Category and data of a secret or of a code finding in a repository."""
        if about == "secret":
            return "ExposedSecrets", {"SecretTypeDisplayName": "Azure Storage account key"}
        found = [
            {"BranchName": "main", "DateCreated": "2026-10-01T00:00:00Z", "HtmlUrl": "https://github.com/contoso/x"}
        ]
        return "CodeVulnerabilities", {
            "ToolName": "CodeQL",
            "RuleId": f"js/{self._rng.choice(_WORDS)}",
            "Findings": json.dumps(found),
        }

    def _classic(self, at: datetime, snapshot: bool) -> Record:
        subscription, resource, kind, name = self._resource()
        owner, details = self._cloud(subscription, resource, kind, name)
        recommendation = self._rng.choice(self._recommendations)
        metadata = {key: value for key, value in recommendation.items() if key != "id"}
        state = self._rng.choices(["Unhealthy", "Healthy", "NotApplicable"], [50, 40, 10])[0]
        status: Record = {"code": state}
        if state == "NotApplicable":
            status |= {"cause": "OffByPolicy", "description": self._text.sentence()}
        status |= {"statusChangeDate": _stamp(at), "firstEvaluationDate": _stamp(at - timedelta(days=30))}
        path = f"{owner}/providers/Microsoft.Security/assessments/{recommendation['id']}"
        record = {
            "tenantId": self._tenant,
            "type": "Microsoft.Security/assessments",
            "kind": None,
            "location": self._rng.choice(_LOCATIONS) if details["source"] == "Azure" else None,
            "id": path,
            "name": recommendation["id"],
            "tags": None,
            "properties": {
                "resourceDetails": details,
                "displayName": recommendation["displayName"],
                "status": status,
                "additionalData": {"subAssessmentsLink": f"{path}/subAssessments"} if self._chance(0.3) else {},
                "metadata": metadata,
                "links": {"azurePortal": f"{_BLADES}/RecommendationsBlade/assessmentKey/{name}"},
            },
        } | self._enrichment(at, "assessment", "2019-01-01", snapshot=snapshot)
        if self._chance(0.15):
            record["properties"]["risk"] = {
                "level": self._rng.choice(["Critical", *_SEVERITIES]),
                "attackPathsReferences": [],
            }
        return record

    def _subassessment(self, at: datetime, snapshot: bool) -> Record:
        _, resource, _, _ = self._resource()
        recommendation = self._rng.choice(self._recommendations)
        finding = self._guid()
        assessed, data = self._finding(at)
        nested = self._chance(0.5)
        extra = {"assessedResourceType": assessed} | ({"data": data} if nested else data)
        record = {
            "tenantId": self._tenant,
            "type": "Microsoft.Security/assessments/subAssessments",
            "id": f"{resource}/providers/Microsoft.Security/assessments/{recommendation['id']}"
            f"/subassessments/{finding}",
            "name": finding,
            "properties": {
                "id": str(self._rng.randint(90000, 380000)),
                "displayName": self._text.sentence(4, 10)[:-1],
                "status": {"code": "Unhealthy", "severity": self._rng.choice(_SEVERITIES)},
                "remediation": self._text.paragraph(2),
                "impact": self._text.paragraph(1),
                "category": self._rng.choice(["Windows", "Ubuntu", "Debian", "Internet Information Services"]),
                "description": self._text.paragraph(3),
                "timeGenerated": _stamp(at),
                "resourceDetails": {"source": "Azure", "id": resource},
                "additionalData": extra,
            },
        } | self._enrichment(at, "subAssessment", "2020-01-01", snapshot=snapshot)
        return _pascal(record) if self._chance(0.5) else record

    def _finding(self, at: datetime) -> tuple[str, Record]:
        """What a scanner adds: mostly Microsoft's own, since 2024; before, others, of servers, SQL and registries."""
        if self._chance(0.7):
            return self._microsofts(at)
        assessed = self._rng.choice(["ServerVulnerability", "SqlServerVulnerability", "ContainerRegistryVulnerability"])
        if assessed == "SqlServerVulnerability":
            rows = [[self._rng.choice(_WORDS), "SELECT, EXECUTE"] for _ in range(self._rng.randint(1, 6))]
            query = f"sys.{self._rng.choice(_WORDS)}s where state = 1"
            return assessed, {"type": "AzureDatabase", "query": query, "queryResults": rows}
        cves = [
            f"CVE-{self._rng.randint(2015, 2026)}-{self._rng.randint(1000, 49999)}"
            for _ in range(self._rng.randint(1, 4))
        ]
        score = self._rng.randint(20, 100) / 10
        data: Record = {
            "type": "Vulnerability",
            "cvss": {"2.0": {"base": max(0.0, score - 1)}, "3.0": {"base": score}},
            "patchable": self._chance(0.7),
            "cve": [{"title": cve, "link": f"http://cve.mitre.org/cgi-bin/cvename.cgi?name={cve}"} for cve in cves],
            "publishedTime": _stamp(at - timedelta(days=200)),
            "vendorReferences": [{"title": "vendor", "link": "https://vendor.example/advisory"}],
        }
        if assessed == "ContainerRegistryVulnerability":
            data |= {
                "repositoryName": f"team/{self._rng.choice(_WORDS)}",
                "registryHost": "contoso.azurecr.io",
                "imageDigest": f"sha256:{self._rng.getrandbits(256):064x}",
            }
        return assessed, data

    def _microsofts(self, at: datetime) -> tuple[str, Record]:
        """What Microsoft's own scanner adds: of a machine, with CVEs in a list, or of an image, in three objects."""
        published, fixed = _stamp(at - timedelta(days=90)), self._chance(0.8)
        status = "FixAvailable" if fixed else "NoFix"
        if self._chance(0.5):
            return "ServerVulnerabilityTvm", {
                "source": "mdvm",
                "softwareName": self._rng.choice(_WORDS),
                "softwareVendor": "redhat",
                "softwareVersion": "1.2.3",
                "fixStatus": status,
                "cve": [
                    {
                        "title": cve,
                        "link": f"https://nvd.nist.gov/vuln/detail/{cve}",
                        "cvssScore": self._rng.randint(20, 100) / 10,
                        "publishedDate": published,
                        "description": self._text.sentence(),
                    }
                    for cve in self._cve_ids(self._rng.randint(1, 3))
                ],
            }
        score = self._rng.randint(20, 100) / 10
        return "AzureContainerRegistryVulnerability", {
            "cvssV30Score": score,
            "vulnerabilityDetails": {
                "cveId": self._cve_ids(1)[0],
                "cvss": {"3.0": {"base": score, "cvssVectorString": "CVSS:3.1/AV:N"}},
                "publishedDate": published,
                "severity": "High",
            },
            "softwareDetails": {
                "category": "OS",
                "packageName": self._rng.choice(_WORDS),
                "version": "1.2.3",
                "fixedVersion": "1.2.4" if fixed else "",
                "fixStatus": status,
                "vendor": "redhat",
            },
            "artifactDetails": {
                "repositoryName": f"team/{self._rng.choice(_WORDS)}",
                "registryHost": "contoso.azurecr.io",
                "digest": f"sha256:{self._rng.getrandbits(256):064x}",
            },
        }

    def _alert(self, at: datetime, _snapshot: bool) -> Record:
        subscription, resource, kind, name = self._resource()
        alert = f"{self._rng.getrandbits(62)}_{self._guid()}"
        shouted = resource.upper() if self._chance(0.2) else resource
        size = self._rng.choices([2, 8, 40, 280], [60, 28, 9, 3])[0]
        entities: list[Record] = [{"$id": "4", "ResourceId": resource, "Type": "azure-resource"}]
        entities += [
            {
                "$id": str(5 + i),
                "Address": f"203.0.113.{i % 250}",
                "Host": {"$ref": "4"},
                "Details": self._text.sentence(),
                "Type": "ip",
            }
            for i in range(size)
        ]
        day = timedelta(minutes=self._rng.randint(1, 90))
        return {
            "VendorName": "Microsoft",
            "AlertType": f"VM_{self._rng.choice(_WORDS).capitalize()}{self._rng.choice(_WORDS).capitalize()}",
            "ProductName": "Microsoft Defender for Cloud",
            "StartTimeUtc": _stamp(at - day),
            "EndTimeUtc": _stamp(at - day / 2),
            "TimeGenerated": _stamp(at - day / 3),
            "ProcessingEndTime": _stamp(at),
            "Severity": self._rng.choice([*_SEVERITIES, "Informational"]),
            "Status": self._rng.choice(["New", "New", "New", "Resolved", "Dismissed"]),
            "ProviderAlertStatus": None,
            "ConfidenceLevel": None,
            "ConfidenceScore": None,
            "ConfidenceReasons": None,
            "IsIncident": self._chance(0.05),
            "SystemAlertId": alert,
            "CorrelationKey": self._guid(),
            "Intent": ", ".join(self._rng.sample(_TACTICS, self._rng.randint(1, 2))),
            "AzureResourceId": shouted,
            "WorkspaceId": None,
            "WorkspaceSubscriptionId": None,
            "WorkspaceResourceGroup": None,
            "AgentId": None,
            "CompromisedEntity": name,
            "AlertDisplayName": self._text.sentence(4, 9)[:-1],
            "Description": self._text.paragraph(2),
            "Entities": entities,
            "ExtendedLinks": None,
            "RemediationSteps": [self._text.sentence() for _ in range(3)],
            "ExtendedProperties": {
                "resourceType": kind,
                "ProductComponentName": "Servers",
                "EffectiveSubscriptionId": subscription,
                "Suspicious process": f"/usr/bin/{self._rng.choice(_WORDS)}",
                "techniques": json.dumps(self._rng.sample(_TECHNIQUES, 2)),
                "killChainIntent": self._rng.choice(_TACTICS),
            },
            "ResourceIdentifiers": [
                {"$id": "2", "AzureResourceId": resource, "Type": "AzureResource"},
                {"$id": "3", "AadTenantId": self._tenant, "Type": "AAD"},
            ],
            "AlertUri": f"https://{_BLADES}/AlertBlade/alertId/{alert}/subscriptionId/{subscription}",
        }

    def _securescore(self, at: datetime, snapshot: bool) -> Record:
        subscription = self._rng.choice(self._subscriptions)
        score = self._score(self._rng.choice([30, 45, 58]))
        return {
            "tenantId": self._tenant,
            "type": "Microsoft.Security/secureScores",
            "id": f"/subscriptions/{subscription}/providers/Microsoft.Security/secureScores/ascScore",
            "name": "ascScore",
            "properties": {"displayName": "ASC score", "score": score, "weight": self._rng.randint(1, 200)},
        } | self._enrichment(at, "", "2020-01-01", snapshot=snapshot)

    def _score(self, most: int) -> Record:
        current = round(self._rng.uniform(0, most), 2)
        return {"max": most, "current": current, "percentage": round(current / most, 4)}

    def _securescorecontrol(self, at: datetime, snapshot: bool) -> Record:
        subscription = self._rng.choice(self._subscriptions)
        control, most = self._guid(), self._rng.choice([2, 4, 6, 10])
        definition = {
            "id": f"/providers/Microsoft.Security/secureScoreControlDefinitions/{control}",
            "name": control,
            "type": "Microsoft.Security/secureScoreControlDefinitions",
            "properties": {
                "source": {"sourceType": "BuiltIn"},
                "displayName": self._text.sentence(2, 5)[:-1],
                "maxScore": most,
                "assessmentDefinitions": [
                    {"id": f"/providers/Microsoft.Security/assessmentMetadata/{recommendation['id']}"}
                    for recommendation in self._rng.sample(self._recommendations, self._rng.randint(2, 14))
                ],
            },
        }
        return {
            "type": "Microsoft.Security/secureScores/secureScoreControls",
            "id": f"/subscriptions/{subscription}/providers/Microsoft.Security/secureScores/ascScore"
            f"/secureScoreControls/{control}",
            "name": control,
            "properties": {
                "displayName": definition["properties"]["displayName"],  # type: ignore[index] # a plain nested dictionary
                "healthyResourceCount": self._rng.randint(0, 90),
                "unhealthyResourceCount": self._rng.randint(0, 30),
                "notApplicableResourceCount": self._rng.randint(0, 5),
                "score": self._score(most),
                "definition": definition,
                "weight": self._rng.randint(1, 100),
            },
        } | self._enrichment(at, "", "2020-01-01", snapshot=snapshot)

    def _regulatorycompliance(self, at: datetime, snapshot: bool) -> Record:
        subscription, standard = self._rng.choice(self._subscriptions), self._rng.choice(_STANDARDS)
        recommendation = self._rng.choice(self._recommendations)
        control = f"{self._rng.randint(1, 9)}.{self._rng.randint(1, 9)}"
        security = f"/subscriptions/{subscription}/providers/Microsoft.Security"
        of_category = self._chance(0.2)
        enrichment = self._enrichment(at, "", "2019-01-01-preview", snapshot=snapshot)
        enrichment["securityEventDataEnrichment"]["interval"] = "00:00:00"
        return enrichment | {  # in this order, and without the tenant, as captured
            "id": f"{security}/regulatoryComplianceStandards/{standard}/regulatoryComplianceControls/{control}"
            f"/regulatoryComplianceAssessments/{recommendation['id']}",
            "name": recommendation["id"],
            "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
            "/regulatoryComplianceAssessments",
            "properties": {
                "description": "SoftwareUpdate" if of_category else recommendation["displayName"],
                "assessmentType": "assessmentCategory" if of_category else "Assessment",
                "assessmentDetailsLink": f"{security.removeprefix('/')}/assessments/{recommendation['id']}",
                "state": self._rng.choice(["Passed", "Failed", "Skipped", "Unsupported"]),
                "scope": "Subscription",
                "passedResources": self._rng.randint(0, 50),
                "failedResources": self._rng.randint(0, 50),
                "skippedResources": self._rng.randint(0, 5),
                "unsupportedResources": 0,
            },
        }

    def _attackpath(self, at: datetime, snapshot: bool) -> Record:
        subscription, resource, _, name = self._resource()
        path = self._guid()
        about = {
            "displayName": f"Internet exposed {self._text.sentence(4, 7)[:-1].lower()}",
            "description": self._text.paragraph(2),
            "potentialImpact": self._text.sentence(),
        }
        if self._chance(0.5):
            return {
                "tenantId": self._tenant,
                "attackPath": about
                | {
                    "attackPathId": path,
                    "riskLevel": self._rng.choice(["Critical", *_SEVERITIES]),
                    "riskFactors": ["InternetExposure", "LateralMovement"],
                    "attackStory": self._text.paragraph(2),
                    "entryPoint": {"id": resource, "name": name},
                    "target": {"id": self._resource()[1]},
                    "attackPathSteps": [{"step": i, "resourceId": resource} for i in range(3)],
                    "mITRETacticsAndTechniques": [
                        {"tactic": tactic, "techniques": ["T1078"]} for tactic in _TACTICS[:2]
                    ],
                    "isPartialAttackPath": False,
                },
            } | self._enrichment(at, "", "2023-12-01", snapshot=snapshot)
        entities = [
            {"entityInternalID": self._guid(), "entityName": name, "entityIdentifiers": {"azureResourceId": resource}}
            for _ in range(3)
        ]
        return {
            "tenantId": self._tenant,
            "type": "microsoft.security/attackpaths",
            "id": f"/subscriptions/{subscription}/providers/microsoft.security/attackpaths/{path}",
            "name": path,
            "properties": about
            | {
                "attackPathType": "InternetExposedVm",
                "manualRemediationSteps": self._text.sentence(),
                "refreshInterval": 24,
                "riskCategories": ["Data exposure"],
                "entryPointEntityInternalID": entities[0]["entityInternalID"],
                "targetEntityInternalID": entities[-1]["entityInternalID"],
                "assessments": [],
                "graphComponent": {"insights": [], "entities": entities, "connections": []},
                "attackPathID": path,
            },
        } | self._enrichment(at, "", "2021-08-01-preview", snapshot=snapshot)

    def _other(self, at: datetime, snapshot: bool) -> Record:
        subscription = self._rng.choice(self._subscriptions)
        return {
            "type": "Microsoft.Security/somethingNew",
            "id": f"/subscriptions/{subscription}/providers/Microsoft.Security/somethingNew/{self._guid()}",
            "properties": {"novelty": self._text.sentence(), "when": _stamp(at)},
        } | self._enrichment(at, "", "2027-01-01", snapshot=snapshot)


def generate(
    seed: int,
    subscriptions: Sequence[str],
    count: int,
    *,
    start: datetime = _START,
    every: timedelta = timedelta(milliseconds=100),
    kinds: Mapping[str, int] = KINDS,
    snapshots: float = 0.3,
    duplicates: float = 0.02,
    late: float = 0.02,
    bad: float = 0.005,
    tenant: str = "",
) -> Iterator[Event]:
    """Yield exactly `count` events, states changing from `start` onwards, one `every` so often.

    Args:
        seed: the same seed and arguments give the same bytes.
        subscriptions: whose records; one is made up when empty.
        count: events in all, faulty ones included.
        start: when the first state changed.
        every: time between two state changes.
        kinds: shares by kind; leave kinds out to get none of them.
        snapshots: share that carries IsSnapshot; alerts never do.
        duplicates: share that is an earlier event again, byte for byte.
        late: share whose state changed up to three days before.
        bad: share that no record can be read from.
        tenant: the tenant that records name; made up when empty.
    """
    rng = random.Random(f"{seed}-stream")
    generator = Generator(seed, subscriptions, tenant)
    recent: deque[Event] = deque(maxlen=200)
    for number in range(count):
        at, fault, draw = start + number * every, "", rng.random()
        if draw < bad:
            yield Event(rng.choice(BAD), "Bad", at, "bad")
            continue
        if draw < bad + duplicates and recent:
            yield rng.choice(recent)._replace(fault="duplicate")
            continue
        if draw < bad + duplicates + late:
            at, fault = at - timedelta(minutes=rng.randint(10, 3 * 24 * 60)), "late"
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        record = generator.make(kind, at, snapshot=rng.random() < snapshots)
        event = Event(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(), kind, at, fault)
        recent.append(event)
        yield event


def _stamp(at: datetime) -> str:
    """A time as .NET writes it: seven digits and a Z."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _pascal(value: Any, *, top: bool = True) -> Any:
    """The PascalCase form that JSON.NET writes with type names, the enrichment included, as captured."""
    if isinstance(value, list):
        return [_pascal(item, top=False) for item in value]
    if not isinstance(value, dict):
        return value
    named: Record = {"$type": "Microsoft.Azure.Security.Contracts.Record, Contracts"} if top else {}
    for key, inner in value.items():
        named[key[0].upper() + key[1:]] = _pascal(inner, top=key == "properties")
    return named
