"""Two drains at once, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from product import STUDY, Product
from waiting import wait_until


def held(product: Product, names: list[str]) -> None:
    """A route whose check waits for a FIFO: whoever works on it stands there."""
    (product.root / "plugins").mkdir()
    (product.root / "plugins/lab_checks.py").write_text(
        "from dropslot.checks.base import Check\n"
        "class Wait(Check):\n"
        "    def check(self, arrival):\n"
        f"        open({str(product.root / 'standing')!r}, 'a').close()\n"
        f"        open({str(product.root / 'go')!r}).close()\n"
        "        return ()\n"
    )
    os.mkfifo(product.root / "go")
    product.configure(
        {"study": STUDY | {"checks": ["lab_checks.Wait"]}, "other": STUDY | {"folders": "./other"}}
    )
    for name in names:
        product.drop(name, {name: b"1"})


def stands(product: Product) -> subprocess.Popen[str]:
    """A drain that has taken the arrivals and waits in the check."""
    process = product.start("drain", "--now")
    wait_until(lambda: (product.root / "standing").exists(), what="the check")
    return process


def test_each_of_two_drains_counts_what_it_took_itself(make_product: Callable[..., Product]) -> None:
    product = make_product()
    held(product, ["first"])
    first = stands(product)
    product.drop("second", {"second": b"2"}, route="other")
    told = product.drain(status=0).stdout
    assert "1 delivered, 0 failed, 0 left for later." in told
    assert "1 more arrival in the hands of another drain" in told
    (product.root / "go").open("w").close()
    assert first.wait(60) == 0
    assert "1 delivered, 0 failed, 0 left for later." in (product.root / "drain.log").read_text()


def test_ctrl_c_in_a_drain_says_what_the_state_is_and_the_next_one_goes_on(
    make_product: Callable[..., Product],
) -> None:
    product = make_product()
    held(product, ["only"])
    process = stands(product)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    log = (product.root / "drain.log").read_text()
    assert "Interrupted. Nothing is lost." in log and "dropslot pending" in log and "Traceback" not in log
    assert [row["name"] for row in product.listing("pending")] == ["only"]
    product.configure()
    product.drain()
    assert product.delivered() == {"only": b"1"}


@pytest.mark.parametrize("command", ["verify", "start_log_reader"])
def test_every_command_ends_with_words_after_ctrl_c(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    from dropslot.cli.output.interrupted import explain_interrupt, noticed

    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with noticed() as pressed, pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert pressed and explain_interrupt(command) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "Interrupted." in capfd.readouterr().err
