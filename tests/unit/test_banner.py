"""What start_observer says at its start."""

from datetime import UTC, datetime
from pathlib import Path

from dropslot.config import parse
from dropslot.running import banner

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LAB = """
time_zone: America/Chicago
routes:
  results:
    folders: ./results
    takes: files
    select: {patterns: ['*.pdf'], mime: [application/pdf]}
    name: '(?P<folder>[a-z]+)-.*'
    deliver:
      - to: sftp://edc@edc.example.org:2222/~/viral_load/{folder}
      - to: sftp://edc@edc.example.org:2222/~/copies/{folder}
    acknowledge:
      - {log: 'sftp://logs@web.example.org/var/log/access.log', match: '/results/{folder}/{stored_name}', users: {a: b},
         destination: 'sftp://edc@edc.example.org:2222/~/viral_load/{folder}'}
  study:
    folders: ./study
    deliver: [{to: ./studies}]
"""


def shown(tmp_path: Path) -> str:
    return banner.text(parse(LAB, tmp_path), NOW)


def test_the_banner_names_hosts_patterns_types_and_folders(tmp_path: Path) -> None:
    lines = [line.split(None, 2) for line in shown(tmp_path).splitlines() if line.startswith("  ")]
    said = {(" ".join(words[:2]), words[2]) for words in lines if len(words) > 2}
    assert {
        ("connects to", "edc@edc.example.org:2222"),
        ("connects to", "logs@web.example.org"),
        ("MIME types", "application/pdf"),
        ("upload to", f"{tmp_path}/results/inbox"),
        ("deliver to", "sftp://edc@edc.example.org:2222/~/viral_load/{folder}"),
        ("refused to", f"{tmp_path}/results/failed"),
        ("access log", "sftp://logs@web.example.org/var/log/access.log"),
        ("deliver to", f"{tmp_path}/studies"),
    } <= said
    assert ["archive", f"{tmp_path}/results/done"] in lines
    assert ["patterns", "*.pdf"] in lines


def test_the_banner_names_each_host_once_and_how_to_stop(tmp_path: Path) -> None:
    text = shown(tmp_path)
    assert text.count("connects to") == 2
    assert text.startswith("dropslot, started 2026-03-01 06:30:00 CST\n")
    assert text.endswith("Press CTRL-C to stop.")
