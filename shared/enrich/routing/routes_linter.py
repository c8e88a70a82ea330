"""What is odd in a file of routes that can be read: rules that no row reaches, places that none names."""

from __future__ import annotations

from shared.enrich.routing.route_model import Routes
from shared.exports.diagnostics import Diagnostic


def lint_routes(routes: Routes, source: str) -> list[Diagnostic]:
    """Warnings, in the file's order."""
    return [*_unused(routes, source), *_unreachable(routes, source)]


def _unused(routes: Routes, source: str) -> list[Diagnostic]:
    named = {name for rule in routes.rules for name in rule.places}
    fix = "Name it in a rule, or take it out."
    return [
        Diagnostic("unused-place", "warning", f"{source}: {place.name}", "no rule names this place.", fix)
        for place in routes.places
        if place.name not in named
    ]


def _unreachable(routes: Routes, source: str) -> list[Diagnostic]:
    found = []
    for index, rule in enumerate(routes.rules):
        before = next((one for one in routes.rules[:index] if one.instead and one.covers(rule)), None)
        if before is not None:
            said = f"no row comes this far: all that meet it meet {before.name} before, which says instead."
            found.append(
                Diagnostic(
                    "unreachable-rule", "warning", f"{source}: {rule.name}", said, f"Put it before {before.name}."
                )
            )
    return found
