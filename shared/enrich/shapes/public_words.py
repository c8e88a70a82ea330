"""Names and words of records that are Microsoft's, MITRE's or a cloud's own, and so tell nothing about a tenant.

A name or text that is not listed here counts as the tenant's.  All are in lower case; each list is open, and a word
that is missing is only replaced.

Sources: the mapping of fields, the published event sources and value sets (`shared.exports`), the columns of the
tables, and the names that scanners, entities and attack graphs have in published samples.
"""

from __future__ import annotations

from shared.enrich.records.field_mapping import KINDS
from shared.enrich.tables import TABLES
from shared.exports import event_sources, known_values

_MORE_NAMES = """
$id $ref $type 2.0 3.0 3.1 4.0 aadtenantid address algorithm amazonaccountid amazonresourceid artifactdetails
assessedresourcetype assessmentkey awsresourceid azureresourceid azureresourcetenantid azuresubscriptionid
azuretenantid base benchmark benchmarks branchname category clusterdetails clustername commandline connections
containerid containername controllerkind creationtimeutc cve cveid cveids cves cvesdetails cvesids cvss cvssscore
cvssv30score cvssv31score cvssv40score cvssvectorstring data datecreated details detectedsoftwareversions digest
direction dnsdomain domainname edges effectiveazureresourceid effectivesubscriptionid effectivetenantid entities
entityidentifiers entityinternalid entityname entitytype exploitability findings firstseen fixedversion fixstatus
fullresourcename gcpresourceid hash hashes host hostname href htmlurl imagedetails imagedigest imageid imagefile
imageuri insights key killchainintent kubernetesdetails label language lastseen link locations maxcvssscore mdvm
namespace nativeresourceid netbiosname nodes ntdomain osfamily osversion packagename packagetype parentprocess
parentresource patchable pods port processid projectid provider publisheddate publishedtime query queryresults reason
recommendedversion records registryhost repositorydetails repositoryname repositoryurl resourcename ruleid scanner
scannersdetails secrettype secrettypedisplayname severity size sku softwaredetails softwarename softwarevendor
softwareversion source state step subassessmentslink tactic tacticname tactics target technique techniques threats
title tool toolname url username value vendor vendorreferences version vulnerabilitydetails
"""

NAMES = frozenset(
    {
        *_MORE_NAMES.split(),
        *(part.lower() for kind in KINDS for path in kind.fields for part in path.split(".")),
        *(part for kind in event_sources.KINDS.values() for path in kind.fields for part in path.split(".")),
        *(column.name.lower() for table in TABLES for column in table.columns),
    }
)
"""Names of members."""

_VALUES = (
    known_values.ALERT_SEVERITIES, known_values.RECOMMENDATION_SEVERITIES, known_values.RISK_LEVELS,
    known_values.ALERT_STATUSES, known_values.ALERT_STATUS_WORDS, known_values.RECOMMENDATION_STATUSES,
    known_values.COMPLIANCE_STATES, known_values.ASSESSMENT_TYPES, known_values.CATEGORIES, known_values.SOURCES,
    known_values.RESOURCE_TYPES, known_values.PLANS, known_values.CHINA_REGIONS, known_values.REGIONS,
    known_values.STANDARDS,
)  # fmt: skip
_SENTENCES = (
    "azure security center", "microsoft defender for cloud", "microsoft cloud security benchmark",
    "sql vulnerability assessment", "non-azure resource", "virtual machine",
)  # fmt: skip
_TACTICS = """
collection commandandcontrol credentialaccess defenseevasion discovery execution exfiltration exploitation impact
initialaccess lateralmovement persistence preattack privilegeescalation probing reconnaissance resourcedevelopment
"""
_WORDS = """
aad account accountbreach active assessmentcategory azureresource azure-resource backfill block call dataexfiltration
dataspillage delete deniedofservice detected dns elevationofprivilege entity expired file filehash fixavailable global
grouppolicy host identityandaccess insert internetexposure ip iot kubernetes-cluster kubernetes-pod likely linux
loganalytics low maliciousinsider mailbox malware microsoft missingcoverage moderate networkconnection networking nofix
nofixavailable nofixedversion none notapplicable notfixed offbypolicy patched process registrykey registryvalue
securitygroup streaming subscription threatresistance true false update url volumetric weblink willnotfix windows write
amazon-resource gcp-resource securityalert snapshot pt1h p1d p7d
"""
_PATH_WORDS = """
arn assessments attackpaths automations aws aws-cn aws-us-gov alerts azure blade blobservices compute
googleapis.com gcp http https instances locations management.azure.com managementgroups
mcr.microsoft.com microsoft.authorization microsoft.compute
microsoft.containerregistry microsoft.containerservice microsoft.eventhub microsoft.hybridcompute microsoft.keyvault
microsoft.management microsoft.network microsoft.operationalinsights microsoft.resources microsoft.security
microsoft.sql microsoft.storage microsoft.web machines managedclusters namespaces policydefinitions portal.azure.com
portal.azure.us projects providers regions registries regulatorycomplianceassessments regulatorycompliancecontrols
regulatorycompliancestandards resourcegroups securescorecontrols securescores securityconnectors securityentitydata
servers sha256 sites storageaccounts subassessments subscriptionid subscriptions vaults virtualmachines virtualnetworks
workspaces zones ascscore
"""

_TYPES = (*known_values.RESOURCE_TYPES, *(kind.type for kind in KINDS if kind.type))

WORDS = frozenset(
    {
        *(value.lower() for values in _VALUES for value in values),
        *(text.lower() for kind in _TYPES for text in (kind, *kind.split("/"))),
        *(kind.name.lower() for kind in KINDS),
        *_SENTENCES,
        *_TACTICS.split(),
        *_WORDS.split(),
        *_PATH_WORDS.split(),
    }
)
"""Whole texts, and whole parts of ids and addresses."""
