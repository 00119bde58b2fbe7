"""`mdr models`: what a config can name."""

from typing import Any

from rich.console import Console
from rich.table import Table

from models.architectures.base import create_model
from models.describe import describe
from models.domain_classifier import untrained
from models.features import FeatureSpec, InputField
from models.registry import Entry, entries
from models.settings import ModelSettings

# The standard shape that parameters are counted at: 10 fields of 1,000 values, 10 domains.
STANDARD = FeatureSpec(
    fields=tuple(InputField(name=f"field_{i}", kind="categorical", size=1000) for i in range(10)),
    domain="domain",
    domains=tuple(f"domain_{i}" for i in range(10)),
)


def rows() -> list[dict[str, Any]]:
    """Return one row per architecture, plug-in and learning method.

    Returns:
        `name`, `role`, `kind`, `paper`, `backends`, and for architectures what `describe` counts at the
        standard shape.
    """
    table, classifier = [], untrained(STANDARD)
    for entry in entries("architectures"):
        model = create_model(STANDARD, ModelSettings(architecture=entry.name), classifier=classifier)
        table.append(_about(entry, "architecture") | describe(model))
    for room, role in (("plugins", "plug-in"), ("learning", "learning method")):
        for entry in entries(room):
            table.append(_about(entry, role))
    return table


def _about(entry: Entry, role: str) -> dict[str, Any]:
    about = {"name": entry.name, "role": role, "kind": entry.kind, "paper": entry.paper}
    return {**about, "backends": list(entry.backends)}


def print_models(console: Console) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind"):
        table.add_column(column, no_wrap=True, min_width=14)
    for column in ("parameters", "multiply-adds"):
        table.add_column(column, justify="right", no_wrap=True, min_width=11)
    table.add_column("paper", no_wrap=True, overflow="ellipsis")
    for row in rows():
        counts = [f"{row[name]:,}" if name in row else "" for name in ("parameters", "multiply_adds")]
        kind = row["kind"] if row["role"] == "architecture" else row["role"]
        table.add_row(row["name"], kind, *counts, row["paper"])
    console.print(table)
    console.print("[dim]at 10 fields of 1,000 values, 10 domains, embedding 16; multiply-adds per row[/dim]")


def markdown() -> str:
    """Return the table as a section of a Markdown page."""
    lines = [
        "| name | role | kind | parameters | multiply-adds | backends | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows():
        counts = [f"{row[name]:,}" if name in row else "" for name in ("parameters", "multiply_adds")]
        cells = [
            f"`{row['name']}`",
            row["role"],
            row["kind"],
            *counts,
            ", ".join(row["backends"]),
            row["paper"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
