"""`mdr models`: what a config can name."""

from typing import Any

from rich.console import Console
from rich.table import Table

from models.architectures.base import create_model
from models.describe import describe
from models.features import FeatureSpec, InputField
from models.registry import entries
from models.settings import ModelSettings

# The standard shape that parameters are counted at: 10 fields of 1,000 values, 10 domains.
STANDARD = FeatureSpec(
    fields=tuple(InputField(name=f"field_{i}", kind="categorical", size=1000) for i in range(10)),
    domain="domain",
    domains=tuple(f"domain_{i}" for i in range(10)),
)
BACKENDS = ("tensorflow", "jax")


def rows() -> list[dict[str, Any]]:
    """Return one row per architecture, plug-in and learning method.

    Returns:
        `name`, `role`, `kind`, `paper`, and for architectures what `describe` counts at the standard
        shape, and `backends`.
    """
    table = []
    for entry in entries("architectures"):
        model = create_model(STANDARD, ModelSettings(architecture=entry.name))
        counted = {**describe(model), "backends": list(BACKENDS)}
        table.append(
            {"name": entry.name, "role": "architecture", "kind": entry.kind, "paper": entry.paper} | counted
        )
    for room, role in (("plugins", "plug-in"), ("learning", "learning method")):
        for entry in entries(room):
            table.append({"name": entry.name, "role": role, "kind": entry.kind, "paper": entry.paper})
    return table


def print_models(console: Console) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "role", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "multiply-adds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("paper")
    for row in rows():
        counts = [f"{row[name]:,}" if name in row else "" for name in ("parameters", "multiply_adds")]
        table.add_row(row["name"], row["role"], row["kind"], *counts, row["paper"])
    console.print(table)
    console.print("[dim]at 10 fields of 1,000 values, 10 domains, embedding 16; multiply-adds per row[/dim]")
