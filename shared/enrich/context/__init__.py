"""Names, management groups, tags and owners of resources, from Resource Graph."""
