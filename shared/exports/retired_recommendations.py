"""Recommendations and sources that Microsoft retired or is about to, and what stands in their place.

Source: Microsoft, "Transition from grouped to individual recommendations in Defender for Cloud" (29 June 2026), and
the release notes of 23 September 2026 for the one that is still to go.  Titles are shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.exports.known_values import SQL_SCANNER

RETIRED_ON: Final = "31 July 2026"
MACHINES: Final = ("Microsoft.Compute/virtualMachines", "Microsoft.HybridCompute/machines")
IMAGES: Final = (".containerimage",)
CONTAINERS: Final = ("K8s-container",)
_REPOSITORIES: Final = ("GitHub", "AzureDevOps", "GitLab")
_SQL_ON_MACHINES: Final = (
    "/virtualMachines/", "/Microsoft.HybridCompute/", "/Microsoft.AzureArcData/", "/Microsoft.SqlVirtualMachine/"
)  # fmt: skip
_SQL_SERVICES: Final = ("/Microsoft.Sql/", "/Microsoft.Synapse/")


@dataclass(frozen=True)
class Successor:
    """Which individual recommendations stand for a retired one: all parts that are given must hold.

    Clouds and types are those of `resourceDetails`; of `resource_id_contains` any part of the resource's id will do.
    """

    category: str = ""
    scanner: str = ""
    resource_types: tuple[str, ...] = ()
    except_resource_types: tuple[str, ...] = ()
    clouds: tuple[str, ...] = ()
    resource_id_contains: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"category {self.category}" if self.category else f"scanner {self.scanner}"
        parts = [
            f"of {' or '.join(self.resource_types)}" if self.resource_types else "",
            f"other than {' and '.join(self.except_resource_types)}" if self.except_resource_types else "",
            f"in {' or '.join(self.clouds)}" if self.clouds else "",
            f"with {' or '.join(self.resource_id_contains)} in the resource's id" if self.resource_id_contains else "",
        ]
        return " ".join([what, *filter(None, parts)])


@dataclass(frozen=True)
class RetiredRecommendation:
    """One recommendation that is no longer sent, or won't be from a date on.

    `successor` is set where one filter takes its place, `ids` where new ids do; with neither or several ids there is
    no single successor, and `note` says what is known.
    """

    id: str
    title: str
    successor: Successor | None = None
    ids: tuple[str, ...] = ()
    note: str = ""
    date: str = RETIRED_ON
    retiring: bool = False

    @property
    def single(self) -> bool:
        """Whether a file can say what takes its place without a choice."""
        return self.successor is not None or len(self.ids) == 1

    @property
    def instead(self) -> str:
        """What takes its place, in words."""
        if self.successor is not None:
            return f"the recommendations of {self.successor}"
        if len(self.ids) == 1:
            return f"the recommendation {self.ids[0]}"
        if self.ids:
            return f"several recommendations: {', '.join(self.ids)}"
        return self.note


_VULNERABILITIES: Final = "SoftwareUpdate"
_EDR: Final = (
    "d44de051-1862-48f8-8476-192aee854699",
    "aafa7d27-01ae-40c6-a56c-1d0ef04b1d71",
    "506d18a1-d571-4341-aad5-a7d363c5bbd4",
)
_NOT_MACHINES: Final = (*CONTAINERS, *IMAGES)


def _repositories(category: str, clouds: tuple[str, ...], title: str, *ids: str) -> tuple[RetiredRecommendation, ...]:
    """The retired ids of one subject, one for each kind of repository: the published table does not say which."""
    return tuple(RetiredRecommendation(key, title, Successor(category, clouds=clouds)) for key in ids)


_TABLE: Final = (
    RetiredRecommendation(
        "1195afff-c881-495e-9bc5-1486211ae03f",
        "Machines: vulnerability findings",
        Successor(_VULNERABILITIES, resource_types=MACHINES, clouds=("Azure",)),
    ),
    RetiredRecommendation(
        "77a4a140-e051-481a-84cc-d4bf2109bd65",
        "EC2 instances: vulnerability findings",
        Successor(_VULNERABILITIES, except_resource_types=_NOT_MACHINES, clouds=("AWS",)),
    ),
    RetiredRecommendation(
        "0a03fa35-e381-4e2f-ace6-2b9913db3381",
        "GCP compute instances: vulnerability findings",
        Successor(_VULNERABILITIES, except_resource_types=_NOT_MACHINES, clouds=("GCP",)),
    ),
    RetiredRecommendation(
        "e1145ab1-eb4f-43d8-911b-36ddf771d13f", "System updates (Azure Update Manager)", Successor("SystemUpdate")
    ),
    RetiredRecommendation(
        "8c3d9ad0-3639-4686-9cd2-2b2ab2609bda", "Windows security configuration", Successor("HostMisconfigurations")
    ),
    RetiredRecommendation(
        "1f655fb7-63ca-4980-91a3-56dbc2b715c6", "Linux security configuration", Successor("HostMisconfigurations")
    ),
    RetiredRecommendation(
        "17618b1a-ed14-49bb-b37f-9f8ba967be8b",
        "Machines: secrets findings",
        Successor("ExposedSecrets", resource_types=MACHINES, clouds=("Azure",)),
    ),
    RetiredRecommendation(
        "490d3be5-0abd-485c-bcd7-b8d6c6f443c8",
        "EC2 instances: secrets findings",
        Successor("ExposedSecrets", except_resource_types=_NOT_MACHINES, clouds=("AWS",)),
    ),
    RetiredRecommendation(
        "17b615fd-ce09-494b-a3fa-5937a137a571",
        "GCP VM instances: secrets findings",
        Successor("ExposedSecrets", except_resource_types=_NOT_MACHINES, clouds=("GCP",)),
    ),
    RetiredRecommendation(
        "dc5357d0-3858-4d17-a1a3-072840bff5be", "EDR configuration issues on virtual machines", ids=_EDR
    ),
    RetiredRecommendation(
        "695abd03-82bd-4d7f-a94c-140e8a17666c", "EDR configuration issues on EC2 instances", ids=_EDR
    ),
    RetiredRecommendation(
        "f36a15fb-61a6-428c-b719-6319538ecfbc", "EDR configuration issues on GCP virtual machines", ids=_EDR
    ),
    RetiredRecommendation(
        "82e20e14-edc5-4373-bfc4-f13121257c37",
        "SQL databases: vulnerability findings",
        Successor(scanner=SQL_SCANNER, resource_id_contains=_SQL_SERVICES),
    ),
    RetiredRecommendation(
        "f97aa83c-9b63-4f9a-99f6-b22c4398f936",
        "SQL servers on machines: vulnerability findings",
        Successor(scanner=SQL_SCANNER, resource_id_contains=_SQL_ON_MACHINES),
    ),
    RetiredRecommendation(
        "24a15fbd-cfe4-4dff-b2be-1c367a6b2031", "AKS nodes: vulnerability findings", Successor("ServiceUpgrade")
    ),
    *(
        RetiredRecommendation(
            key,
            "Container images in Azure registries: vulnerability findings",
            Successor(_VULNERABILITIES, resource_types=IMAGES, clouds=("Azure",)),
        )
        for key in ("c0b7cfc6-3172-465a-b378-53c7ff2cc0d5", "33422d8f-ab1e-42be-bc9a-38685bb567b9")
    ),
    *(
        RetiredRecommendation(
            key,
            f"{cloud} running container images: vulnerability findings",
            Successor(_VULNERABILITIES, resource_types=CONTAINERS, clouds=(cloud,)),
        )
        for key, cloud in (
            ("c609cf0f-71ab-41e9-a3c6-9a1f7fe1b8d5", "Azure"),
            ("682b2595-d045-4cff-b5aa-46624eb2dd8f", "AWS"),
            ("e538731a-80c8-4317-a119-13075e002516", "GCP"),
        )
    ),
    *_repositories(
        "ApiVulnerabilities",
        ("GitHub", "AzureDevOps"),
        "Repositories: API security testing findings",
        "7ad00833-a0f0-47b9-b377-5665bd5d9074",
        "d42301a5-4d23-4457-97c8-f2f2e9eb979e",
    ),
    *_repositories(
        _VULNERABILITIES,
        _REPOSITORIES,
        "Repositories: dependency findings",
        "945f7b1c-8def-4ab3-a44d-1416060104b3",
        "2ea72208-8558-4011-8dcd-d93375a4003d",
        "1bc53aae-c92e-406b-9693-d46caf3934fa",
    ),
    *_repositories(
        _VULNERABILITIES,
        ("GitHub", "AzureDevOps"),
        "Repositories: Shai-Hulud 2.0 compromised packages",
        "14c00325-f0ee-4c12-bbaf-4059647d919c",
        "70f5bbd7-c8bd-4b6f-a877-fa46b2719606",
    ),
    *_repositories(
        "CodeVulnerabilities",
        _REPOSITORIES,
        "Repositories: code scanning findings",
        "18aa4e75-776a-4296-97f0-fe1cf10d679c",
        "99232bb2-9b21-4bbb-8e3c-763673b9923d",
        "cd3e4ff3-b1bc-4a42-b10d-e2f9f99e2991",
    ),
    *_repositories(
        "CodeVulnerabilities",
        ("AzureDevOps",),
        "Azure DevOps security posture findings",
        "7b123b34-1f78-4902-abb6-3b813abe9866",
    ),
    *_repositories(
        "IacVulnerabilities",
        _REPOSITORIES,
        "Repositories: infrastructure as code findings",
        "d9be0ff8-3eb0-4348-82f6-c1e735f85983",
        "6588c4d4-fbbb-4fb8-be45-7c2de7dc1b3b",
        "ec1bface-60ff-46b6-b1dc-67171a4882d5",
    ),
    *_repositories(
        "ExposedSecrets",
        _REPOSITORIES,
        "Repositories: secrets findings",
        "867001c3-2d01-4db7-b513-5cb97638f23d",
        "dd98425c-1407-40cc-8a2c-da5d0a2f80da",
        "b5ef903f-8655-473b-9784-4f749eeb25c6",
    ),
    RetiredRecommendation(
        "fd104c01-29d0-428d-bb62-2c936addd2cf",
        "GitHub security posture findings",
        note="recommendations of several categories",
    ),
    RetiredRecommendation(
        "fde1c0c9-0fd2-4ecc-87b5-98956cbc1095",
        "Guest accounts with read permissions",
        ids=("422107c6-5b9a-46a6-bb1d-26ef1cc52d65",),
    ),
    RetiredRecommendation(
        "0354476c-a12a-4fcc-a79d-f0ab7ffffdbb",
        "Guest accounts with write permissions",
        ids=("009678ce-adce-4c94-9cc8-cfc2bd0c6a06",),
    ),
    RetiredRecommendation(
        "20606e75-05c4-48c0-9d97-add6daa2109a",
        "Guest accounts with owner permissions",
        ids=("f2864482-b329-4310-8c06-3cf74fe880c5",),
    ),
    RetiredRecommendation(
        "1ff0b4c9-ed56-4de6-be9c-d7ab39645926",
        "Disabled accounts with read and write permissions",
        ids=("9b4f4dd4-24fc-42ba-9978-2a1cf575d36d",),
    ),
    RetiredRecommendation(
        "050ac097-3dda-4d24-ab6d-82568e7a50cf",
        "Disabled accounts with owner permissions",
        ids=("a4899b81-b689-4e0d-aa29-45983ab8b7fc",),
    ),
    RetiredRecommendation(
        "ffff0522-1e88-47fc-8382-2a80ba848f5d",
        "Machines should have a vulnerability assessment solution",
        note="no recommendation takes its place",
        date="14 December 2026",
        retiring=True,
    ),
)
RETIRED: Final[Mapping[str, RetiredRecommendation]] = {entry.id: entry for entry in _TABLE}
