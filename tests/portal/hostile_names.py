"""Names that a sender may give and that break pages which do not escape them."""

from __future__ import annotations

NAMES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7|add:7 }}{% debug %}",
    "&lt;b&gt;&amp;",
    "javascript:alert(1)",
    "a b\u00a0c.pdf",
    "\u0645\u0644\u0641.pdf",
    "=cmd|'!A1",
    "%0d%0aSet-Cookie: x=1",
    "..%2f..%2fetc",
    "-rf --help",
    "x" * 200,
)
