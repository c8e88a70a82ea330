"""What each code of a finding means, for `explain` and for docs/exports.md, which shows these tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """How severe a finding of this code is, and what it says."""

    severity: str
    sentence: str


WAIVABLE: Final[Mapping[str, Meaning]] = {
    "malformed": Meaning("error", "a live automation is not of the API's shape"),
    "no-sources": Meaning("warning", "it exports nothing"),
    "no-scope": Meaning("error", "a live automation has no scope, or one that is no subscription or resource group"),
    "no-destination": Meaning("error", "a live automation has no action"),
    "no-credential": Meaning("error", "a live automation can't send to its hub: no trusted service, no key"),
    "not-a-hub": Meaning("error", "a live automation names a namespace instead of a hub"),
    "bad-destination": Meaning("error", "a live automation's destination is not of the shape that Azure has"),
    "nothing-passes": Meaning("error", "each rule set of a live automation has a rule that never holds"),
    "retired-source": Meaning("warning", "SubAssessments, which have no records since 31 July 2026"),
    "retired-recommendation": Meaning("warning", "an id that was retired; the successor is named"),
    "retiring-recommendation": Meaning("warning", "an id that will be retired, with the date"),
    "retired-cloud": Meaning(
        "warning", "a region of Azure China, where Defender for Cloud was retired on 18 August 2026"
    ),
    "drops-critical": Meaning(
        "warning", "High passes and Critical, which is above it, does not; the built-in policies write this"
    ),
    "unknown-region": Meaning(
        "warning", "a region that is not known, or not written as Azure writes it; the nearest is named"
    ),
    "unknown-event-source": Meaning("error", "no such event source; alerts have no snapshot"),
    "duplicate-source": Meaning("warning", "an event source is listed twice"),
    "findings-without-recommendations": Meaning("error", "SubAssessments without Assessments"),
    "snapshot-findings-without-recommendations": Meaning("warning", "the same for snapshots"),
    "controls-without-score": Meaning("warning", "SecureScoreControls without SecureScores"),
    "snapshot-controls-without-score": Meaning("warning", "the same for snapshots"),
    "unknown-operator": Meaning("error", "no such operator"),
    "unknown-type": Meaning("error", "no such property type"),
    "alert-severity-path": Meaning(
        "error", "the recommendations' severity path on alerts, whose severity is at `Severity`"
    ),
    "alert-nested-path": Meaning("error", "another path below `properties` on alerts, which are flat"),
    "unknown-path": Meaning("warning", "no record of this source is known to have the field"),
    "unsupported-path": Meaning(
        "warning", "a wildcard, filter, slice or negative position, which tests, previews and backfills can't follow"
    ),
    "numeric-operator-on-text": Meaning("error", "a comparison of numbers on type String"),
    "text-operator-on-number": Meaning("error", "Contains, StartsWith or EndsWith on a number"),
    "operator-on-boolean": Meaning("error", "anything but Equals and NotEquals on a boolean"),
    "unreadable-value": Meaning("error", "the expected value is not of the property type"),
    "wrong-type": Meaning("error", "the field's type is another one"),
    "impossible-value": Meaning("error", "the field never has such a value"),
    "unknown-value": Meaning("warning", "no record is known to have such a status, plan, category, id, name or type"),
    "empty-value": Meaning("warning", "an empty expected value"),
    "contradictory-equals": Meaning(
        "error", "one rule set wants one field to equal two values; each needs a rule set of its own"
    ),
    "contradictory-rules": Meaning("error", "two rules of one rule set exclude each other"),
    "duplicate-rule": Meaning("warning", "a rule twice in a rule set"),
    "duplicate-rule-set": Meaning("warning", "a rule set twice"),
    "redundant-rule-set": Meaning("warning", "another rule set lets through all that this one does"),
}
"""Findings that a file can waive, with a reason."""

OTHERS: Final[Mapping[str, Meaning]] = {
    "alerts-have-no-snapshot": Meaning(
        "warning", "`snapshot` is asked for, and alerts don't say that theirs is streaming"
    ),
    "custom-adds-nothing": Meaning("warning", "`custom` repeats an event source that is exported whole"),
    "half-a-plan": Meaning(
        "warning", "alerts of one plan bear one of two names (Servers, VirtualMachines), and one is listed"
    ),
    "portal-name-mismatch": Meaning("warning", "the portal's name for the other kind of destination"),
    "unused-place": Meaning("warning", "a place of the file of routes that none of its rules names"),
    "unreachable-rule": Meaning("warning", "a rule of that file behind one that takes all that would meet it"),
    "blank": Meaning("warning", "a tag or owner of that file that begins or ends with a blank"),
    "several-tenants": Meaning("warning", "a management group of that file whose name several tenants have"),
    "unknown-waiver": Meaning("error", "a waived code that does not exist"),
    "unused-waiver": Meaning("warning", "a waived code that is not found any more"),
    "too-large": Meaning("error", "the file or the automation exceeds its limit"),
    "blank-key": Meaning("error", "a key without a value"),
    "empty-list": Meaning("error", "a list or mapping of the scope, or `ruleSets` or `rules`, without entries"),
    "still-declared": Meaning(
        "error",
        "`renamedFrom` names an export that still has a file; a warning where one file is put",
    ),
    "two-heirs": Meaning(
        "error",
        "two files name the same former name",
    ),
    "failing-test": Meaning(
        "error",
        "one of the file's own tests fails, where a file is put",
    ),
    "not-json": Meaning("error", "a text that is sent as JSON and is none"),
    "dot-segment": Meaning("error", "a name or id with a part that is `.` or `..`"),
    "bad-tag": Meaning("error", "a tag that Azure refuses: two casings of one name, a reserved prefix"),
    "odd-yaml": Meaning("error", "an explicit tag such as `!!int`, or a NUL character"),
    "more-findings": Meaning("as they are", "the count of findings beyond the first 100"),
    "duplicate-name": Meaning("error", "two files have one name"),
    "name-mismatch": Meaning("error", "the file in the store says another name than it is stored under"),
    "other-release": Meaning(
        "error", "the stored file was written by a release whose files this one does not read; the finding names it"
    ),
    "tombstone": Meaning(
        "error", "the record of an export's delete can't be read: delete the export again, or put it again"
    ),
    "archived": Meaning("error", "a blob in the store lies in the Archive tier, from which nothing can be read"),
    "bad-name": Meaning("error", "a blob in the store has no export's name"),
    "same-automation": Meaning("error", "two exports own one automation for certain; a warning where they only may"),
    "test-failed": Meaning("error", "a test that the file carries has another outcome than it says"),
    "not-yaml": Meaning("error", "the text is no YAML"),
    "not-utf8": Meaning("error", "the file is not UTF-8 text"),
    "several-documents": Meaning("error", "the file holds several YAML documents; one export a file"),
    "alias": Meaning("error", "a YAML alias or anchor"),
    "repeated-key": Meaning("error", "a key is given twice"),
    "key-is-no-text": Meaning("error", "a mapping or list stands where a key belongs"),
    "too-deep": Meaning("error", "the file is nested too deeply"),
    "not-an-export": Meaning("error", "the file holds no mapping that begins with `version: 1`"),
    "unknown-key": Meaning("error", "a key that does not belong there; the nearest is named"),
    "missing-key": Meaning("error", "a key that must be there is not"),
    "wrong-value": Meaning("error", "a value that does not belong there; what would be right is named"),
}
"""Findings that can't be waived."""

MEANINGS: Final[Mapping[str, Meaning]] = {**WAIVABLE, **OTHERS}
