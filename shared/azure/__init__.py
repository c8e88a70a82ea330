"""The edges to Azure that more than one part uses: credentials, clients, Resource Graph, blobs, retries."""
