"""On-demand work: plan, reconcile, preview, backfill and replay; queue in, report out."""
