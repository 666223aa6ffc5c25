"""`fetch_dicom`: studies from an archive."""

from __future__ import annotations

import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import one_of
from dropslot.cli.startup import started
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.config import Config, Route
    from dropslot.destinations.dicom.peers import Peer
    from dropslot.dicom.fetching.fetch import Fetched

commands = typer.Typer()


@commands.command("fetch_dicom")
def fetch_dicom(
    accessions: Annotated[
        list[str] | None, typer.Argument(metavar="ACCESSION", help="Accession numbers.")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="AET@HOST:PORT", help="The archive.", show_default=False)
    ] = "",
    route: Annotated[str, typer.Option("--route", metavar="KEY", help="Whose inbox.")] = "",
    title: Annotated[
        str,
        typer.Option("--as", metavar="AET", help="Our AE title. Default: that of the route's `receive`."),
    ] = "",
    study: Annotated[
        list[str] | None, typer.Option("--study", metavar="UID", help="A StudyInstanceUID; can be repeated.")
    ] = None,
    get: Annotated[bool, typer.Option("--get", help="By C-GET. Default: if the archive takes it.")] = False,
    move: Annotated[bool, typer.Option("--move", help="By C-MOVE to the route's receiver.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Fetch studies from an archive into an inbox: C-FIND, then C-GET or C-MOVE. A study becomes an arrival only if it
    has exactly the instances that the archive lists; its series are then VERIFIED.

    Exit status 1 if a study did not come whole; what is missing is named.
    """
    settings = started(config)
    if (get and move) or not source or not (accessions or study):
        raise UsageError(
            "Say --from, an accession number or --study, and at most one of --get and --move",
            next_step="dropslot fetch_dicom --route KEY --from AET@HOST:PORT ACCESSION",
        )
    where = _route(settings, route)
    from dropslot.dicom.fetching.fetch import choose, fetch
    from dropslot.dicom.fetching.study_query import find

    peer = _peer(where, source, title)
    found = find(peer, accessions or [], study or [])
    how = "get" if get else "move" if move else choose(where, peer)
    failed = False
    with _receiver(settings, how):
        for one in found:
            done = fetch(where, peer, one, how, _who())
            failed = failed or bool(done.faults)
            _show(done, how, as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _route(config: Config, key: str) -> Route:
    from dropslot.dicom.importing.config_keys import is_imported

    importing = {name: route for name, route in config.routes.items() if is_imported(route)}
    if not key and len(importing) == 1:
        (key,) = importing
    one_of("--route", key, importing)
    if not key:
        raise UsageError(f"Say --route: {', '.join(importing) or 'no route has `import: dicom`'}")
    return importing[key]


def _peer(route: Route, source: str, title: str) -> Peer:
    from dropslot.destinations.dicom.peers import DEFAULT_AET, peer_of
    from dropslot.dicom.receiving.config_keys import receive_of

    try:
        peer = peer_of(f"dicom://{source}")
    except ValueError as error:
        raise UsageError(f"--from {source!r}: {error}") from error
    receive = receive_of(route)
    known = peer.aet if peer.aet != DEFAULT_AET else receive.aet if receive else DEFAULT_AET
    return peer._replace(aet=title or known)


def _receiver(config: Config, how: str) -> AbstractContextManager[None]:
    if how == "get":
        return nullcontext()
    from dropslot.dicom.receiving.process import receiving_meanwhile

    return receiving_meanwhile(config)


def _who() -> str:
    from dropslot.arrivals.intake.record import user_name

    return user_name(os.getuid())


def _show(done: Fetched, how: str, *, as_json: bool) -> None:
    for series in done.study.series:
        received = len(done.received.get(series.uid, ()))
        row = {
            "study_uid": done.study.uid,
            "accession": done.study.accession,
            "series_uid": series.uid,
            "modality": series.modality,
            "listed": len(series.instances),
            "received": received,
            "name": done.name,
        }
        if as_json:
            sys.stdout.write(json.dumps(row) + "\n")
    if done.faults:
        sys.stderr.write(f"dropslot: Study {done.study.uid} was not fetched, and nothing of it was kept:\n")
        sys.stderr.writelines(f"  {fault}\n" for fault in done.faults)
        again = ", or with --move: some archives send compressed images only so" if how == "get" else ""
        sys.stderr.write(f"  Try again{again}.\n")
    elif not as_json:
        count = sum(len(series.instances) for series in done.study.series)
        sys.stdout.write(f"{done.name}: {counted(count, 'instance')} in {len(done.study.series):,} series.\n")
