"""What is sent: three trees of incompressible bytes, the same in every run and on every machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20


@dataclass(frozen=True)
class Source:
    """`files` and `size_bytes` say how large a disk has to be; both are exact."""

    key: str
    title: str
    files: int
    size_bytes: int
    write: Callable[[Path], None]

    def in_cache(self, scratch: Path) -> Path:
        """The tree, made once for all trials of a run."""
        folder = scratch / "sources" / self.key
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            partial.mkdir(parents=True)
            self.write(partial)
            partial.rename(folder)
        return folder


def _sizes(seed: int, count: int, least: int) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.randint(least, 180_000) for _ in range(count)]


_MIXED, _FEW = _sizes(5000, 5_000, 20_000), _sizes(500, 500, 16_000)


def _write_series(folder: Path, seed: int, sizes: list[int], in_each: int) -> None:
    data = random.Random(seed)
    for number, size in enumerate(sizes):
        series = folder / f"series{number // in_each:02}"
        series.mkdir(exist_ok=True)
        (series / f"image{number:04}.dcm").write_bytes(data.randbytes(size))


def _write_mixed(folder: Path) -> None:
    _write_series(folder, 1, _MIXED, 100)


def _write_few(folder: Path) -> None:
    _write_series(folder, 4, _FEW, 50)


def _write_big(folder: Path) -> None:
    data = random.Random(2)
    with (folder / "recording.raw").open("wb") as file:
        for _ in range(2_000 * 1_000_000 // _MIB):
            file.write(data.randbytes(_MIB))


def _write_small(folder: Path) -> None:
    data = random.Random(3)
    for number in range(100):
        series = folder / f"trial{number:02}"
        series.mkdir()
        for item in range(1_000):
            (series / f"sample{item:03}.bin").write_bytes(data.randbytes(1_000))


FEW = Source("few", "500 files of 16 to 180 KB", 500, sum(_FEW), _write_few)
MIXED = Source("mixed", "5,000 files of 20 to 180 KB", 5_000, sum(_MIXED), _write_mixed)
BIG = Source("big", "one file of 2 GB", 1, 2_000 * 1_000_000 // _MIB * _MIB, _write_big)
SMALL = Source("small", "100,000 files of 1 KB", 100_000, 100_000_000, _write_small)
