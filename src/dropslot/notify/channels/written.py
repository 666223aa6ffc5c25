"""Puts a notice into words, by templates of Django's that an installation can replace: KIND.subject, KIND.txt and
KIND.html in the folder `notify.templates`, else `message.subject`, `message.txt`, `message.html` there, else ours.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from django.template import Context, Engine, TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import Template

from dropslot.core.context import once
from dropslot.core.errors import BadOption
from dropslot.core.names import escape
from dropslot.notify.channels.harmless import harmless
from dropslot.notify.channels.message import Fact, Message, Notice
from dropslot.notify.news import VALUES

log = structlog.get_logger()
_OURS = Path(__file__).parent / "templates"
_PARTS = ("subject", "txt", "html")
_DEFAULT = "message"
_KINDS = VALUES | {_DEFAULT, "several", "digest", "unsure", "test"}
_MOST_OF_SUBJECT = 150
_UNKNOWN = "\ufdd0"  # a character that no text has
_SAMPLE = Notice(
    kind="sample",
    title="1 arrival failed",
    facts=[
        Fact(
            "heart-1", "The name does not match.", "Correct the name.", "study", "heart", "https://a.example"
        )
    ],
    more=1,
    values={
        "rows": [{"about": "heart", "received": 1, "delivered": 1, "refused": 0, "fetched": 1}],
        "proof": ["1:abc"],
        "stamp": "All up to event 1 has a time stamp.",
        "made_at": "2026-11-30 06:00 UTC",
    },
)


def written(folder: Path | None, notice: Notice, id: str, *, portal: str = "") -> Message:
    """The message. `folder` has the installation's own templates, if any; `portal` is the address that people type.
    A template that fails is an error in the log, and ours is used: no message is lost by it."""
    subject, text, html = (_part(folder, notice, part, portal) for part in _PARTS)
    line = harmless(" ".join(subject.split()), _MOST_OF_SUBJECT)
    return Message(id, line, text, html, notice.level)


def prove_templates(folder: Path | None) -> None:
    """Render each own template with a sample. Raises BadOption, which names the first that has a mistake."""
    for file in _own_files(folder):
        try:
            found = _rendered(
                _engine(folder, f"{_UNKNOWN}%s{_UNKNOWN}"), file.name, _SAMPLE, "https://a.example"
            )
        except Exception as error:
            raise BadOption(_fault(file, str(error)), next_step="Correct it, or remove it") from error
        if _UNKNOWN in found:
            name = found.split(_UNKNOWN)[1]
            raise BadOption(
                _fault(file, f"there is no {{{{ {name} }}}}"),
                next_step="docs/notifications.md lists what a template can say",
            )


def unused(folder: Path | None) -> list[Path]:
    """Own templates whose name is that of no message, and that no other one includes: most are misspelled. Those of a
    folder that cannot be read are none."""
    with suppress(BadOption, OSError):
        files = list(_own_files(folder))
        texts = {file: file.read_text(errors="replace") for file in files}
        odd = [file for file in files if file.stem not in _KINDS]
        return [one for one in odd if not any(one.name in text for text in texts.values())]
    return []


def _own_files(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        return
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise BadOption(
            f"notify.templates: the folder {escape(str(folder))} cannot be read: {error.strerror}",
            next_step="Make it, or correct the path",
        ) from error
    yield from (file for file in files if file.suffix.lstrip(".") in _PARTS and not file.name.startswith("."))


def _fault(file: Path, why: str) -> str:
    return f"The template {escape(str(file))} has a mistake: {escape(why)}"


def _part(folder: Path | None, notice: Notice, part: str, portal: str) -> str:
    if folder is not None:
        try:
            return _rendered(_engine(folder), _name(folder, notice.kind, part), notice, portal)
        except Exception as error:  # noqa: BLE001 - whatever a template may raise
            log.warning(
                f"A template in {escape(str(folder))} failed, so that dropslot's own is used: {escape(str(error))}",
                action="template_failed",
                plain=True,
            )
    return _rendered(_engine(None), _name(None, notice.kind, part), notice, portal)


def _name(folder: Path | None, kind: str, part: str) -> str:
    """The first that there is."""
    engine = _engine(folder)
    for name in (f"{kind}.{part}", f"{_DEFAULT}.{part}"):
        try:
            engine.get_template(name)
        except TemplateDoesNotExist:
            continue
        except TemplateSyntaxError:
            return name
        return name
    raise TemplateDoesNotExist(f"{_DEFAULT}.{part}")


@once
def _engine(folder: Path | None, unknown: str = "") -> Engine:
    folders = [str(each) for each in (folder, _OURS) if each is not None]
    return Engine(dirs=folders, string_if_invalid=unknown)


def _rendered(engine: Engine, name: str, notice: Notice, portal: str) -> str:
    template: Template = engine.get_template(name)
    values = _harmless({**notice.values, **asdict(notice), "values": {}})
    context = values | {"portal": portal, "machine": socket.gethostname()}
    return template.render(Context(context, autoescape=name.endswith(".html")))


def _harmless(value: Any) -> Any:
    match value:
        case str():
            return harmless(value)
        case Mapping():
            return {key: _harmless(each) for key, each in value.items()}
        case list() | tuple():
            return [_harmless(each) for each in value]
        case _:
            return value
