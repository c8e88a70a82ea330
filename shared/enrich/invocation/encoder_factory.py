"""What makes the events of an output hub."""

from __future__ import annotations

from shared.enrich.delivery.output_format import OutputEncoder, OutputFormat, RowFormat


def encoder(form: str, kilobytes: int) -> OutputEncoder:
    """Makes events in a form, `rows` or `ocsf`, for a hub that takes events of so many KB."""
    made: OutputFormat = RowFormat()
    if form == "ocsf":
        from shared.enrich.ocsf.event_builder import OcsfFormat  # loaded only where it is wanted

        made = OcsfFormat()
    return OutputEncoder(made, kilobytes)
