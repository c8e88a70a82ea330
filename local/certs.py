"""The certificate authority of the local Azure: Azure's clients refuse bearer tokens over plain HTTP."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Certificates:
    """One authority and one server certificate for localhost and 127.0.0.1, as files below `folder`.

    Clients trust it when `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE` name `ca_file` before their process imports
    aiohttp, which builds its default context at import: set both in a child process's environment.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.cert_file = folder / "server.pem"
        self.key_file = folder / "server.key"
        self._authority = trustme.CA()
        self._server = self._authority.issue_cert("localhost", "127.0.0.1")
        self._authority.cert_pem.write_to_path(self.ca_file)
        self._server.private_key_pem.write_to_path(self.key_file)
        self.cert_file.unlink(missing_ok=True)
        for blob in self._server.cert_chain_pems:
            blob.write_to_path(self.cert_file, append=True)

    def server_context(self) -> ssl.SSLContext:
        """A context for servers that present the certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A context for clients in this process that trust the authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def environment(self) -> dict[str, str]:
        """The variables that make a child process trust the authority."""
        return {
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NODE_EXTRA_CA_CERTS": str(self.ca_file),
        }
