"""`mdr models`: what a config can name."""

from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from models.architectures.base import create_model
from models.describe import describe
from models.domain_classifier import untrained
from models.features import FeatureSpec, InputField
from models.registry import WORDS, Entry, entries, own_settings
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
        `name`, `role`, `kind`, `paper`, `backends`, its own `settings` with their defaults, and for
        architectures what `describe` counts at the standard shape.
    """
    table, classifier = _listed(), untrained(STANDARD)
    for row in table:
        if row["role"] == WORDS["architectures"]:
            settings = ModelSettings(architecture=row["name"])
            row |= describe(create_model(STANDARD, settings, classifier=classifier))
    return table


def _listed() -> list[dict[str, Any]]:
    """Return the rows without what is counted: no model is built."""
    return [_about(entry, role) for room, role in WORDS.items() for entry in entries(room)]


def _about(entry: Entry, role: str) -> dict[str, Any]:
    about = {"name": entry.name, "role": role, "kind": entry.kind, "paper": entry.paper}
    defaults = own_settings(entry, {}).model_dump(mode="json")
    return {**about, "backends": list(entry.backends), "settings": defaults}


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


def settings_markdown() -> str:
    """Return what can be set of its own, as a section of a Markdown page; values as a config writes them."""
    lines = ["| name | role | own settings, with their defaults |", "|---|---|---|"]
    for row in _listed():
        if row["settings"]:
            text = yaml.safe_dump(row["settings"], default_flow_style=True, sort_keys=False, width=10_000)
            lines.append(f"| `{row['name']}` | {row['role']} | `{text.strip()}` |")
    return "\n".join(lines)
