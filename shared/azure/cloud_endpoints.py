"""Endpoints and token audiences of the Azure clouds."""

from __future__ import annotations

from typing import NamedTuple


class Cloud(NamedTuple):
    """Endpoints and audiences of one Azure cloud."""

    arm: str
    authority: str
    ingestion_audience: str
    logs_query: str
    federation: str
    portal: str


CLOUDS = {
    "AzureCloud": Cloud(
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://monitor.azure.com",
        "https://api.loganalytics.io",
        "api://AzureADTokenExchange",
        "https://portal.azure.com",
    ),
    "AzureUSGovernment": Cloud(
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://monitor.azure.us",
        "https://api.loganalytics.us",
        "api://AzureADTokenExchangeUSGov",
        "https://portal.azure.us",
    ),
    "AzureChinaCloud": Cloud(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://monitor.azure.cn",
        "https://api.loganalytics.azure.cn",
        "api://AzureADTokenExchangeChina",
        "https://portal.azure.cn",
    ),
}
