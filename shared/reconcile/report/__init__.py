"""What a reconcile run leaves: its report, and where reports are kept."""
