"""Templates of an installation in place of ours, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropslot.core.errors import BadOption
from dropslot.notify.channels.message import Fact, Notice
from dropslot.notify.channels.written import prove_templates, written

NOTICE = Notice("failed", "1 arrival failed", [Fact("heart-1", "The <b>name</b> does not match.")], more=36)


def test_own_templates_replace_ours_for_a_kind_or_for_all(tmp_path: Path) -> None:
    (tmp_path / "failed.subject").write_text("[lab]\n{{ title }}\n")
    (tmp_path / "message.txt").write_text("{% for fact in facts %}{{ fact.what }}{% endfor %}")
    prove_templates(tmp_path)
    message = written(tmp_path, NOTICE, "01ABC")
    assert (message.subject, message.text) == ("[lab] 1 arrival failed", "The <b>name</b> does not match.")
    assert "&lt;b&gt;" in message.html
    assert "36 more are not listed" in message.html
    assert written(tmp_path, Notice("done", "1 arrival"), "01ABC").subject == "dropslot: 1 arrival"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("failed.txt", "{% for fact in facts %}", "failed.txt has a mistake: Unclosed tag"),
        ("message.html", "{{ titel }}", r"message.html has a mistake: there is no {{ titel }}"),
        ("digest.txt", "{% include '../../secret.txt' %}", "digest.txt has a mistake"),
        ("done.subject", "{{ title|shout }}", "done.subject has a mistake: Invalid filter: 'shout'"),
    ],
)
def test_a_mistake_is_told_at_start_and_loses_no_message(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadOption, match=words):
        prove_templates(tmp_path)
    kind = name.split(".")[0]
    message = written(tmp_path, Notice(kind, "1 arrival failed", NOTICE.facts), "01ABC")
    assert message.subject == "dropslot: 1 arrival failed"
    assert "1 arrival failed" in message.text


def test_a_folder_of_templates_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be read: No such file"):
        prove_templates(tmp_path / "mails")
