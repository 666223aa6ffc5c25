"""Keys and signatures of receipts, held against the real ssh-keygen."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dropslot.audit import receipts, signing_key
from dropslot.audit.chain import Head
from dropslot.audit.models import Receipt
from dropslot.core import context
from dropslot.core.signing import sshsig
from trail import ARRIVAL, summary

HEAD = Head(7, "a" * 64)


def ssh_keygen_accepts(folder: Path, body: str, signature: str, namespace: str = "dropslot") -> bool:
    written = folder / "receipt.sig"
    written.write_text(signature)
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(folder / signing_key.ALLOWED_SIGNERS),
        "-I",
        "dropslot",
    ]
    command += ["-n", namespace, "-s", str(written)]
    return subprocess.run(command, input=body.encode(), capture_output=True, check=False).returncode == 0


def signed(folder: Path) -> Receipt:
    return receipts.sign(summary(HEAD).body(), folder)


def test_ssh_keygen_accepts_a_receipt_as_the_documentation_says(tmp_path: Path) -> None:
    receipt = signed(tmp_path)
    assert ssh_keygen_accepts(tmp_path, receipt.body, receipt.signature)
    assert not ssh_keygen_accepts(tmp_path, receipt.body + " ", receipt.signature)
    assert not ssh_keygen_accepts(tmp_path, receipt.body, receipt.signature, namespace="file")


def test_a_signature_made_by_ssh_keygen_is_accepted(tmp_path: Path) -> None:
    key = signing_key.receipt_key(tmp_path)
    (tmp_path / "body").write_text("body")
    command = [
        "ssh-keygen",
        "-Y",
        "sign",
        "-f",
        str(tmp_path / signing_key.KEY),
        "-n",
        "dropslot",
        str(tmp_path / "body"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    allowed = {sshsig.public_blob(key.public_key())}
    sshsig.verify((tmp_path / "body.sig").read_text(), "dropslot", b"body", allowed)


def test_a_receipt_says_what_happened_in_canonical_json(tmp_path: Path) -> None:
    receipt = signed(tmp_path)
    body = json.loads(receipt.body)
    assert receipt.arrival == ARRIVAL == body["arrival"]
    assert body["head"] == {"seq": 7, "hash": "a" * 64}
    assert body["outcomes"] == {"delivered": 3, "unchanged": 1}
    assert body["guarantees"] == ["source: compared before and after", "bag: validated"]
    assert body["finished_at"] == "2026-11-22T08:30:00.000000Z"
    assert body["name"] == "Zoë-2026" and "Zoë" in receipt.body


def test_the_key_is_private_and_its_public_files_are_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "keys"
    signing_key.receipt_key(folder)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "receipt_ed25519": 0o600,
        "receipt_ed25519.pub": 0o644,
        "allowed_signers": 0o644,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", folder / signing_key.KEY], check=True, capture_output=True, text=True
    )
    assert (folder / "receipt_ed25519.pub").read_text().startswith(shown.stdout.strip())


def test_processes_that_make_the_key_at_once_end_with_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dropslot.audit import signing_key;"
        "from dropslot.core.signing import sshsig;"
        "print(sshsig.public_blob(signing_key.receipt_key(Path(sys.argv[1])).public_key()).hex())"
    )
    source = str(Path(signing_key.__file__).parents[2])

    def run(_: int) -> str:
        command = [sys.executable, "-c", program, str(tmp_path / "keys")]
        environment = {**os.environ, "PYTHONPATH": source}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(run, range(8)))) == 1
    assert len((tmp_path / "keys" / "allowed_signers").read_text().splitlines()) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 3


def test_public_files_that_a_crash_left_out_are_made_at_the_next_use(tmp_path: Path) -> None:
    signing_key.receipt_key(tmp_path)
    (tmp_path / "allowed_signers").unlink()
    (tmp_path / "receipt_ed25519.pub").unlink()
    signing_key.receipt_key(tmp_path)
    assert (tmp_path / "allowed_signers").exists() and (tmp_path / "receipt_ed25519.pub").exists()


def test_a_new_key_leaves_older_receipts_provable(tmp_path: Path) -> None:
    old = signed(tmp_path)
    (tmp_path / signing_key.KEY).unlink()
    context.renew()  # another process
    new = signed(tmp_path)
    assert ssh_keygen_accepts(tmp_path, old.body, old.signature)
    assert ssh_keygen_accepts(tmp_path, new.body, new.signature)
    assert len(signing_key.allowed_signers(tmp_path / "allowed_signers")) == 2


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    signing_key.receipt_key(tmp_path)
    (tmp_path / signing_key.KEY).chmod(0o640)
    with pytest.raises(signing_key.KeyFault, match="chmod 600"):
        signing_key.receipt_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_key_is_an_error_in_words_and_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / signing_key.KEY
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(signing_key.KeyFault, match="not an OpenSSH private key"):
        signing_key.receipt_key(tmp_path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_an_error_that_may_heal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(signing_key.KeyFault) as caught:
        signing_key.receipt_key(tmp_path / "file" / "keys")
    assert caught.value.retryable


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "dropslot\n", "dropslot ssh-ed25519\n", "x ssh-ed25519 %%\n"]
)
def test_allowed_signers_that_name_nobody_are_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "allowed").write_text(text)
    with pytest.raises(signing_key.KeyFault):
        signing_key.allowed_signers(tmp_path / "allowed")


def test_without_a_file_there_are_no_signers(tmp_path: Path) -> None:
    assert signing_key.allowed_signers(tmp_path / "none") == frozenset()


KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
ALLOWED = {sshsig.public_blob(KEY.public_key())}
SIGNATURE = sshsig.sign(KEY, "dropslot", b"body")
RAW = base64.b64decode("".join(SIGNATURE.splitlines()[1:-1]))


def armored(raw: bytes) -> str:
    text = base64.b64encode(raw).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


@given(st.integers(0, len(RAW) * 8 - 1))
def test_no_flipped_bit_of_a_signature_passes(bit: int) -> None:
    damaged = bytearray(RAW)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(armored(bytes(damaged)), "dropslot", b"body", ALLOWED)


@given(st.binary(max_size=200) | st.integers(0, len(RAW) - 1).map(lambda size: RAW[:size]))
def test_no_bytes_make_a_traceback_as_a_signature(raw: bytes) -> None:
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(armored(raw), "dropslot", b"body", ALLOWED)


@given(st.text(max_size=80))
def test_no_text_makes_a_traceback_as_a_signature(text: str) -> None:
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(text, "dropslot", b"body", ALLOWED)


def test_a_good_signature_by_somebody_else_or_for_another_purpose_is_refused() -> None:
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(sshsig.BadSignature, match="allowed signers"):
        sshsig.verify(sshsig.sign(stranger, "dropslot", b"body"), "dropslot", b"body", ALLOWED)
    with pytest.raises(sshsig.BadSignature, match="another purpose"):
        sshsig.verify(sshsig.sign(KEY, "file", b"body"), "dropslot", b"body", ALLOWED)
