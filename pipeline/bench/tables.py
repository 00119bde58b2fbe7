"""The tables of a suite: for the terminal, as Markdown, as an HTML page, and in the project's docs."""

import json
import re
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from pipeline.bench.cells import Store
from pipeline.bench.suite import Published, Suite
from pipeline.bench.summary import FIGURES, Row, summarize
from pipeline.pages import environment
from pipeline.run_folder import read_json
from schema.atomic import write_whole

UNDEFINED = "–"
MARKDOWN, HTML = "table.md", "table.html"


def draw(store: Store, suite: Suite, label: str) -> tuple[str, str]:
    """Write a suite's tables beside its cells and return them as Markdown and HTML.

    Args:
        store: the suite's results. suite: the suite. label: its name, with what was changed.
    """
    texts = render(store.results(), suite, label)
    for name, text in zip((MARKDOWN, HTML), texts, strict=True):
        write_whole(store.folder / name, text)
    return texts


def render(cells: list[dict], suite: Suite, label: str) -> tuple[str, str]:
    """Return the tables of some cells as Markdown and HTML."""
    rows = summarize(cells, suite)
    figures = {name: title for name, title in FIGURES.items() if any(row.figures[name] for row in rows)}
    counts = sorted({row.seeds for row in rows})
    values = {
        "label": label,
        "changed": label.partition("[")[2].removesuffix("]"),
        "suite": suite,
        "rows": rows,
        "figures": figures,
        "best": {name: _best(rows, name) for name in figures},
        "domains": list(rows[0].domains) if rows else [],
        "commands": sorted({cell["command"] for cell in cells}),
        "machines": sorted({cell["machine"] for cell in cells}),
        "seeds": f"Seeds: {counts[0]}." if len(counts) == 1 else "",
    }
    made = {kind: environment("pipeline.bench", _filters(), html) for kind, html in KINDS}
    return tuple(one.get_template(f"quality.{kind}.j2").render(values) for kind, one in made.items())


KINDS = (("md", False), ("html", True))


def terminal_table(cells: list[dict], suite: Suite, label: str) -> Table:
    """Return the main figures of some cells for the terminal."""
    table = Table(title=escape(label), title_justify="left", box=None, pad_edge=False)
    table.add_column("model, learning", no_wrap=True, overflow="ellipsis")
    for name in ("AUC", "domains'", "±", "p", "samples/s"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    for row in summarize(cells, suite):
        auc, (mean, deviation) = row.figures["auc"], row.figures["mean_domain_auc"] or (None, None)
        shown = [_figure(auc and auc[0]), _figure(mean), _figure(deviation)]
        table.add_row(row.name, *shown, _p(row.p), _count(row.costs["samples_per_s"]))
    return table


def write_docs(store: Store, suite: Suite, label: str, docs: Path) -> Path:
    """Add a suite's cells to those kept with the docs, and redraw its part of `benchmarks.md` alone.

    Args:
        store: newly measured cells replace kept ones of the same model, plug-ins, method and seed.
        suite: the suite. label: its name. docs: the folder of the docs.

    Returns:
        The file of the kept cells.
    """
    kept_file = docs / "benchmarks" / f"{store.folder.name}.json"
    kept = read_json(kept_file) if kept_file.is_file() else []
    cells = {_identity(cell): cell for cell in [*kept, *store.results()]}
    kept = [cells[identity] for identity in sorted(cells)]
    write_whole(kept_file, json.dumps(kept, indent=1))
    markdown, _ = render(kept, suite, label)
    write_part(docs / "benchmarks.md", f"quality {label}", markdown)
    return kept_file


def write_part(file: Path, name: str, text: str) -> None:
    """Replace the named part of a Markdown file, or add it at the end; all else stays as it is."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    part = f"{begin}\n\n{text.strip()}\n\n{end}"
    whole = file.read_text(encoding="utf-8") if file.is_file() else ""
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(whole):
        whole = pattern.sub(lambda _: part, whole)
    else:
        whole = f"{whole.rstrip()}\n\n{part}\n".lstrip()
    write_whole(file, whole)


def _identity(cell: dict) -> str:
    return f"{'+'.join([cell['model'], *cell['plugins']])} {cell['learning']} {cell['seed']:03}"


def _best(rows: list[Row], name: str) -> set[str]:
    known = [(row.figures[name][0], row.name) for row in rows if row.figures[name]]
    pick = min if name == "logloss" else max
    return {row for value, row in known if value == pick(known)[0]}


def _filters() -> dict:
    return {
        "spread": _spread,
        "figure": _figure,
        "count": _count,
        "p": _p,
        "percent": lambda value: "" if value is None else f"{value:+.2%}",
        "columns": _columns,
        "published": _published,
    }


def _spread(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return UNDEFINED
    mean, deviation = value
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def _figure(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _columns(published: Published) -> list[str]:
    return list(dict.fromkeys(name for values in published.figures.values() for name in values))


def _published(row: Row) -> str:
    return "; ".join(
        ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        for values in row.published.values()
    )
