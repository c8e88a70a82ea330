"""What is odd in a file of routes that can be read: rules that no row reaches, places that none names, blanks."""

from __future__ import annotations

from shared.enrich.routing.route_model import Routes
from shared.exports.diagnostics import Diagnostic
from shared.exports.management_groups import GroupNames


def lint_routes(routes: Routes, source: str) -> list[Diagnostic]:
    """Warnings, in the file's order."""
    return [*_unused(routes, source), *_unreachable(routes, source), *_blanks(routes, source)]


def lint_groups(routes: Routes, source: str, known: GroupNames) -> list[Diagnostic]:
    """A warning for each name that management groups of several tenants have: a rule is met by all of them."""
    return [
        Diagnostic("several-tenants", "warning", f"{source}: {rule.name}", f"{told}.", "A row of any of them meets it.")
        for rule in routes.rules
        for name in sorted(rule.groups)
        if (told := known.several(name))
    ]


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


def _blanks(routes: Routes, source: str) -> list[Diagnostic]:
    """Tags and owners that begin or end with a blank, which is seldom how Azure has them."""
    fix = "Take them out."
    return [
        Diagnostic("blank", "warning", f"{source}: {rule.name}", f"{text[:40]!r} is met with its blanks alone.", fix)
        for rule in routes.rules
        for text in sorted({*rule.owners, *rule.tags, *(value for values in rule.tags.values() for value in values)})
        if text != text.strip()
    ]
