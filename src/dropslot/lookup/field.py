"""The field `lookup`: a hint in the arrival's name, looked up in a table of folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dropslot.config import Config, Lookup, Route
from dropslot.core import patterns
from dropslot.core.errors import Refused
from dropslot.core.names import escape, invisible
from dropslot.fields.base import Field
from dropslot.lookup.load_tables import table_name
from dropslot.lookup.models import Folder, label_key

# The beginning of the reason of every refusal for a missing folder; `dropslot load_remote_folders` finds them by it.
NO_FOLDER = "No folder is known for "


class FolderLookup(Field):
    """The folder whose line in the table has the hint from the name. Of several look-ups, the first that finds a
    folder counts; two answers from one look-up are an error."""

    def __init__(self, option: Sequence[Lookup], config: Config, name_help: str = "") -> None:
        super().__init__(option)
        self._name_help = f"{name_help.rstrip('.')}; " if name_help else ""
        self._ways = [(lookup, table_name(config, Path(lookup.table))) for lookup in option]

    def values(
        self,
        arrival_name: str,
        known: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> Mapping[str, str] | None:
        """The field with its folder. Raises Refused, in words for the person who maintains the table."""
        tried = []
        for lookup, table in self._ways:
            hint = hint_of(lookup, arrival_name)
            if not hint:
                tried.append(
                    f"{self._name_help}the hint {lookup.hint.pattern} of label {lookup.label} does not match"
                )
                continue
            answers = sorted(set(_answers(lookup, table, hint)))
            if len(answers) > 1:
                raise Refused([_several(arrival_name, lookup, table, hint, answers)])
            if answers:
                return {lookup.field: answers[0]}
            tried.append(
                f"{escape(table)} has no hint '{escape(hint)}' with label {lookup.label}{_near(table, hint)}"
            )
        raise Refused([_none(arrival_name, tried, [table for _, table in self._ways])])


def for_route(config: Config, route: Route) -> Iterator[FolderLookup]:
    """One for each field that is looked up, in the order of their first mention."""
    by_field: dict[str, list[Lookup]] = {}
    for lookup in route.lookup:
        by_field.setdefault(lookup.field, []).append(lookup)
    return (FolderLookup(lookups, config, route.name_help or "") for lookups in by_field.values())


def hint_of(lookup: Lookup, name: str) -> str:
    """The hint in the name: the group `hint`, otherwise the whole match; empty if the name has none."""
    found = patterns.search(lookup.hint, name)
    if found is None:
        return ""
    return found.groups.get("hint", found.whole) or ""


def _answers(lookup: Lookup, table: str, hint: str) -> Iterator[str]:
    # A hint that is not text (bytes of a name that is not UTF-8) is in no table, and no database accepts it in a
    # query.
    tag = hint if hint.isprintable() else escape(hint)
    tags = patterns.forms(tag)
    rows = Folder.objects.filter(table__name=table, label_key=label_key(lookup.label), folder_tag__in=tags)
    if lookup.base_path is not None:
        rows = rows.filter(base_path__in=patterns.forms(lookup.base_path))
    return rows.values_list("folder", flat=True).iterator()


def _near(table: str, hint: str) -> str:
    """A spreadsheet that reads 02 as a number writes 2."""
    bare = escape(hint).lstrip("0")
    if bare and bare != hint and Folder.objects.filter(table__name=table, folder_tag=bare).exists():
        return f" (it has '{bare}': did a spreadsheet drop the zero?)"
    return ""


def _none(name: str, tried: Sequence[str], tables: Sequence[str]) -> str:
    which = " and ".join(dict.fromkeys(escape(table) for table in tables))
    shown = f"{escape(name)}{invisible(name).removesuffix(',')}"
    return (
        f"{NO_FOLDER}{shown}: {'; '.join(tried)}. If the name is right, add the line to {which}, load it"
        " (dropslot load_remote_folders FILE) and retry"
    )


def _several(name: str, lookup: Lookup, table: str, hint: str, answers: Sequence[str]) -> str:
    named = " and ".join(answers[:5])
    return (
        f"{NO_FOLDER}{escape(name)}: for hint '{escape(hint)}' with label {lookup.label} {escape(table)} has"
        f" {len(answers)}, {named}. Set base_path in `lookup`, or take the wrong line out of the file and load it"
        " (dropslot load_remote_folders FILE --replace), and retry"
    )
