"""Text and tables as Markdown shows them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence


def escape_markdown(text: str) -> str:
    """Return the text as GitHub's Markdown shows it literally, in a table's cell too."""
    return re.sub(r"([\\`*\[\]|]|<(?=\S)|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))


def markdown_table(rows: Sequence[Sequence[str]], left: Collection[str]) -> str:
    """Return a table, the first row its heading; columns named in `left` are aligned left, others right."""
    aligned = ["---" if name in left else "---:" for name in rows[0]]
    escaped = [[escape_markdown(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [escaped[0], aligned, *escaped[1:]])
