"""One invocation of the Event Hub trigger, from events to rows in tables."""
