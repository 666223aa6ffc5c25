"""Many commands in one process, for breadth: to start Python and Django takes longer than a hundred of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from product import Ended, Product

_RUNNER = """
import contextlib, io, json, os, sys
from dropslot import cli
for args in json.loads(sys.argv[1]):
    args = [os.fsdecode(bytes.fromhex(arg)) for arg in args]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run(args)
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""


def run_at_once(product: Product, *commands: Sequence[str]) -> list[Ended]:
    """How each command ended; whatever its status is."""
    whole = [[*command, "-c", str(product.config)] for command in commands]
    encoded = json.dumps([[arg.encode("utf-8", "surrogateescape").hex() for arg in args] for args in whole])
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, encoded],
        env=product.environment,
        cwd=product.root,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [Ended(*json.loads(line)) for line in done.stdout.splitlines()]
