"""Values in files that people open with a spreadsheet."""

from __future__ import annotations

import json
import re
from typing import Any

# What begins a formula, in the widths of East Asia too; and after a semicolon or a tab, at which spreadsheets of other
# countries begin a new cell.
_FORMULA = re.compile("(\\A|[;\t])(?=[=+\\-@\t\r\n＝＋－＠])")


def cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: an apostrophe stands before what begins one."""
    if value is None or isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _FORMULA.sub(r"\1'", text)
