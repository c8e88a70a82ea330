"""The subscriptions and automations of the tenant as Azure shows them."""
