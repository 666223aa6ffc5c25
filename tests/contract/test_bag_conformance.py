"""The cases of the Library of Congress's BagIt conformance suite, built anew from its names, and more of each kind."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bags import faults_of

Tree = Mapping[str, bytes]
PAYLOAD: Tree = {"dir1/three.txt": b"three", "dir2/dir3/five.txt": b"five", "one.txt": b"one"}
INFO = "Source-Organization: A University\nExternal-Description: Pictures of\n   the papers\nBag-Count: 1 of 15\n"
VERSIONS = ("0.93", "0.94", "0.95", "0.96", "0.97", "1.0")
ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
OTHERS = {"sha3-256": "sha3_256", "SHA3-512": "sha3_512", "blake2b": "blake2b", "blake2b-512": "blake2b"}


@dataclass
class Made:
    """A bag as a tool of no particular kind would write it, with what is to be odd about it."""

    payload: Tree = field(default_factory=lambda: dict(PAYLOAD))
    version: str = "1.0"
    algorithms: Mapping[str, str] = field(default_factory=lambda: {"sha512": "sha512"})
    encoding: str = "UTF-8"
    ends: str = "\n"
    between: str = "  "
    info: str | None = INFO
    listed: Mapping[str, str] = field(default_factory=dict)  # how a payload file is written in the manifests
    more: Tree = field(default_factory=dict)  # files besides, by their path in the bag
    lines: str = ""  # at the end of each manifest; {digest} is that of `one.txt`
    declaration: bytes = b""

    def write(self, folder: Path) -> Path:
        (folder / "data").mkdir(parents=True)
        tags = {"bagit.txt": self.declaration or self._declaration()}
        if self.info is not None:
            tags["package-info.txt" if self.version < "0.96" else "bag-info.txt"] = self._text(self.info)
        for name, algorithm in self.algorithms.items():
            tags[f"manifest-{name}.txt"] = self._text(self._manifest(algorithm))
        for name, algorithm in self.algorithms.items():
            lines = (
                f"{hashlib.new(algorithm, data).hexdigest()}{self.between}{path}\n"
                for path, data in tags.items()
                if not path.startswith("tag")
            )
            tags |= {f"tagmanifest-{name}.txt": self._text("".join(lines))}
        for path, data in {**{f"data/{p}": d for p, d in self.payload.items()}, **tags, **self.more}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def _declaration(self) -> bytes:
        text = f"BagIt-Version: {self.version}\nTag-File-Character-Encoding: {self.encoding}\n"
        return text.replace("\n", self.ends).encode()

    def _manifest(self, algorithm: str) -> str:
        def digest(data: bytes) -> str:
            return hashlib.new(algorithm, data).hexdigest()

        lines = (
            f"{digest(data)}{self.between}{self.listed.get(path, f'data/{path}')}\n"
            for path, data in self.payload.items()
        )
        return "".join(lines) + self.lines.format(digest=digest(self.payload.get("one.txt", b"")))

    def _text(self, text: str) -> bytes:
        return text.replace("\n", self.ends).encode(self.encoding)


def nested() -> Made:
    """A bag whose payload is a bag."""
    inner = {"bagit.txt": b"BagIt-Version: 0.96\nTag-File-Character-Encoding: UTF-8\n"}
    inner |= {"manifest-md5.txt": b"0" * 32 + b"  data/none\n", "data/x": b"x", "tagmanifest-md5.txt": b"?"}
    return Made({f"bag/{path}": data for path, data in inner.items()})


VALID: dict[str, Made] = {
    **{f"basic {version}": Made(version=version) for version in VERSIONS},
    **{f"basic {version} with CRLF": Made(version=version, ends="\r\n") for version in VERSIONS},
    **{f"{name} alone": Made(algorithms={name: name}) for name in ALGORITHMS},
    **{f"{name} alone": Made(algorithms={name: algorithm}) for name, algorithm in OTHERS.items()},
    "all at once": Made(algorithms={name: name for name in ALGORITHMS}),
    "duplicate metadata": Made(info="Contact-Name: A\nContact-Name: B\ncontact-name: C\nCONTACT-NAME: D\n"),
    "uncommon separators of metadata": Made(info="A:  two blanks\nB:\ttab\nC : blank before\nD:none\n"),
    "metadata without a value": Made(info="Bag-Count:\nContact-Name: A\n"),
    "metadata over several lines": Made(info="A: one\n two\n\tthree\n   four\nB: five\n"),
    "no bag-info": Made(info=None),
    "minimal": Made({"x": b""}, info=None),
    "empty payload": Made({}),
    "bag in a bag": nested(),
    "names with tildes and percent signs": Made(
        {"dir1/~three.txt": b"3", "%7Edir2/four": b"4", "%two": b"2"}, "0.97"
    ),
    "percent sign encoded": Made({"50%.txt": b"50"}, listed={"50%.txt": "data/50%25.txt"}),
    "names with blanks": Made({"a file with  blanks.txt": b"a", "one 1.txt": b"b"}, between=" "),
    "leading dot and slash": Made(listed={"one.txt": "./data/one.txt"}, version="0.97"),
    "leading dot and slash in 1.0": Made(listed={path: f"./data/{path}" for path in PAYLOAD}),
    "two slashes, as find on macOS writes them": Made(listed={path: f"data//{path}" for path in PAYLOAD}),
    "dots that lead nowhere": Made(
        listed={"one.txt": "././data/./one.txt", "dir1/three.txt": ".//data/dir1/./three.txt"}
    ),
    "holey, and all was fetched": Made(
        more={"fetch.txt": b"".join(f"http://localhost/{p} - data/{p}\r\n".encode() for p in PAYLOAD)}
    ),
    "fetch.txt with lengths": Made(more={"fetch.txt": b"https://h/one 3 data/one.txt\n"}, version="0.97"),
    "ISO-8859-1": Made({"é.txt": b"e"}, encoding="ISO-8859-1", info="Name: Zoë\n"),
    "windows-1252": Made({"€.txt": b"e"}, encoding="windows-1252"),
    "UTF-16": Made({"é.txt": b"e"}, encoding="UTF-16", version="0.97"),
    "UTF-16 with CRLF": Made({"é.txt": b"e"}, encoding="UTF-16", ends="\r\n"),
    "UTF-16LE": Made({"é.txt": b"e"}, encoding="UTF-16LE"),
    "UTF-32": Made({"é.txt": b"e"}, encoding="UTF-32"),
    "Shift_JIS": Made({"検査.txt": b"e"}, encoding="Shift_JIS"),
    "hidden files": Made({".hidden": b"h", "dir/.keep": b""}),
    "unlisted tag files": Made(more={"consent.pdf": b"%PDF", "notes/readme.txt": b"hi"}),
}

# The suite asks for a warning. What is whole and proved all the same is taken.
WARNED: dict[str, Made] = {
    "made with md5sum": Made(between=" *", version="0.97"),
    "relative path": Made(listed={path: f"./data/{path}" for path in PAYLOAD}, version="0.97"),
    "same name twice with the same hash": Made(lines="{digest}  data/one.txt\n", version="0.97"),
    "name in another form": Made(
        {"Núñez": b"n"}, listed={"Núñez": f"data/{unicodedata.normalize('NFD', 'Núñez')}"}
    ),
}

# The suite asks for a warning. On Linux a listed file is missing.
MISSING: dict[str, Made] = {
    "same name in another case": Made(lines="{digest}  data/ONE.txt\n", version="0.97"),
    "same name in two forms": Made(
        {"Núñez": b"n", "one.txt": b"one"},
        lines="{digest}  data/" + unicodedata.normalize("NFD", "Núñez") + "\n",
        version="0.97",
    ),
    "a special system file": Made(lines="{digest}  data/.DS_Store\n", version="0.97"),
}

PATHS = {
    "dots": "../../../README.md",
    "dots within data": "data/../../README.md",
    "dots after the leading dot": "./../README.md",
    "dots after a dot": "data/./../../README.md",
    "two slashes": "//server/foo",
    "a folder": "data/dir1/",
    "dots with backslashes": r"\.\./\.\./README.md",
    "an absolute path": "/tmp/foo",
    "a home folder": "~/foo",
    "somebody's home folder": "~root/foo",
    "a drive": r"C:\Windows\System32\setx.exe",
    "a drive with slashes": "C:/Windows/System32/setx.exe",
    "a variable": r"%HomeDrive%\Windows\setx.exe",
    "a UNC path": r"\\?\UNC\server\setx.exe",
    "a tag file": "bagit.txt",
}

INVALID: dict[str, Made] = {
    "no encoding": Made(declaration=b"BagIt-Version: 0.97\n"),
    "BOM in bagit.txt": Made(
        declaration=b"\xef\xbb\xbfBagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"
    ),
    "version without a first digit": Made(version=".97"),
    "version of the future": Made(version="2.0"),
    "blank before the colon": Made(declaration=b"BagIt-Version : 1.0\nTag-File-Character-Encoding : UTF-8\n"),
    "blank after the version": Made(version="1.0 "),
    "lines the other way round": Made(
        declaration=b"Tag-File-Character-Encoding: UTF-8\nBagIt-Version: 1.0\n"
    ),
    "bagit.txt in the tag files' encoding": Made(
        encoding="UTF-16",
        declaration="BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n".encode("utf-16"),
    ),
    "an encoding that is none": Made(declaration=b"BagIt-Version: 1.0\nTag-File-Character-Encoding: zip\n"),
    "extra payload": Made(more={"data/extra": b"x"}),
    "changed payload": Made(more={"data/one.txt": b"ONE"}),
    "changed tag file": Made(more={"bag-info.txt": b"A: changed\n"}),
    "not all manifests list all files": Made(
        algorithms={"sha256": "sha256", "sha512": "sha512"}, more={"manifest-sha256.txt": b""}
    ),
    "same name twice with different hashes": Made(lines="0" * 128 + "  data/one.txt\n", version="0.97"),
    "same name twice with the same hash": Made(lines="{digest}  data/one.txt\n"),
    "same name twice, once with a dot": Made(lines="{digest}  ./data/one.txt\n"),
    "same name twice, once with two slashes": Made(lines="{digest}  data//one.txt\n"),
    "wrong Payload-Oxum": Made(info="Payload-Oxum: 12.2\n"),
    "Payload-Oxum without files": Made(info="Payload-Oxum: 12\n"),
    "percent sign not decoded in 1.0": Made({"50%25.txt": b"50"}),
    "ISO-8859-1 said to be UTF-8": Made(more={"bag-info.txt": "Name: Zoë\n".encode("latin-1")}),
    "digest of another algorithm": Made(algorithms={"sha512": "sha256"}),
    **{f"manifest with {what}": Made(lines=f"{{digest}}  {path}\n") for what, path in PATHS.items()},
    **{
        f"fetch.txt with {what}": Made(more={"fetch.txt": f"http://localhost/x - {path}\r\n".encode()})
        for what, path in PATHS.items()
    },
}


@pytest.mark.parametrize("made", VALID.values(), ids=VALID.keys())
def test_a_valid_bag_is_accepted(tmp_path: Path, made: Made) -> None:
    assert faults_of(made.write(tmp_path / "bag")) == []


@pytest.mark.parametrize("made", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_bag_is_refused(tmp_path: Path, made: Made) -> None:
    assert faults_of(made.write(tmp_path / "bag"))


@pytest.mark.parametrize("made", WARNED.values(), ids=WARNED.keys())
def test_what_deserves_a_warning_is_accepted_when_it_is_whole(tmp_path: Path, made: Made) -> None:
    assert faults_of(made.write(tmp_path / "bag")) == []


@pytest.mark.parametrize("made", MISSING.values(), ids=MISSING.keys())
def test_what_deserves_a_warning_is_refused_when_something_is_missing(tmp_path: Path, made: Made) -> None:
    assert any("missing" in fault or "twice" in fault for fault in faults_of(made.write(tmp_path / "bag")))


@pytest.mark.parametrize("name", ["bag-info.txt", "manifest-sha512.txt", "bagit.txt", "data/one.txt"])
def test_a_bag_without_one_of_its_files_is_refused(tmp_path: Path, name: str) -> None:
    folder = Made().write(tmp_path / "bag")
    (folder / name).unlink()
    assert faults_of(folder)
