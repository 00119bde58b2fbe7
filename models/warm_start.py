"""Warm start: a training begins with the weights of the pushed model, row by row of what they stand for."""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.layers.embedding import FieldEmbedding, first_rows
from models.layers.specific import SparseRows
from models.row_sources import FRESH, Meaning, RowSources, row_sources
from models.served import ServedModel, weight_names
from models.settings import ModelSettings
from schema import progress

# The domain classifier is trained anew and frozen; random states, what says which domain acts, whether D3
# weighs the losses and what it measured of yesterday's rows begin anew.
NEVER = re.compile(
    r"(^|/)(domain_classifier|seed_generator|d3_balance/on|d3_means|sparse_rows/(keys|places)|acting)(/|#)"
)
# A learning method made these: a model that was trained by another has none, or others.
OPTIONAL = re.compile(r"(^|/)(specific_parameters|sparse_rows)/")
FILE = "warm_start.json"  # what `begin` told, beside the training's history
SHOWN = 3  # weights that a message names


class CannotGoOn(ValueError):
    """The pushed model's weights do not fit; says what differs."""


@dataclass(frozen=True)
class Step:
    """How one variable gets its values: along `axis`, `sources` gives the earlier row; None takes all."""

    variable: keras.Variable
    name: str
    axis: int = 0
    sources: np.ndarray | None = None


def start(model, served: dict[str, Any], settings: ModelSettings, now: Meaning, logs: Path) -> None:
    """Begin as `begin` does, and put on record in `logs`, the log and the progress what came of it."""
    told = begin(model, served, settings, now)
    (logs / FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")
    logging.warning(told["words"])
    expected = told["warm"] or told["version"] is None  # nothing serves before the first push
    progress.report("Trainer", **{"start" if expected else "warning": told["words"]})


def begin(model, served: dict[str, Any], settings: ModelSettings, now: Meaning) -> dict[str, Any]:
    """Give a model the weights of the pushed one, or leave it as it is and say why.

    Args:
        model: a built model, with all that its learning method adds.
        served: `folder` of the pushed SavedModel and its `version`, or `why_not` there is none to go on from.
        settings: of the model. now: what its indices stand for.

    Returns:
        `version`, `warm`, `words` for a person, and what is kept, new and gone (see `RowSources.figures`).
    """
    version, why_not, figures = served.get("version"), served["why_not"], None
    if not why_not:
        try:
            figures = go_on(model, ServedModel(Path(served["folder"])), settings, now)
        except CannotGoOn as error:
            why_not = f"the weights of version {version} cannot be used: {error}"
        except (ValueError, LookupError, OSError) as error:
            why_not = f"version {version} cannot be read: {error}"
    words = _words(version, figures) if figures else f"cold start: {why_not}."
    return {"version": version, "warm": figures is not None, "words": words, **(figures or {})}


def _words(version: int, figures: dict[str, Any]) -> str:
    values = figures["values"].values()
    kept, new, gone = (sum(value[key] for value in values) for key in ("kept", "new", "gone"))
    return (
        f"warm start from version {version}: {figures['domains_kept']} domains kept, "
        f"{len(figures['domains_new'])} new, {len(figures['domains_gone'])} gone; "
        f"{kept:,} values kept, {new:,} new, {gone:,} gone."
    )


def go_on(model, served: ServedModel, settings: ModelSettings, now: Meaning) -> dict[str, Any]:
    """Give a model the weights of an earlier one; see `begin` for the arguments.

    Returns:
        What is kept, new and gone.

    Raises:
        CannotGoOn: the models differ in more than their domains and values; nothing is changed.
    """
    _check_settings(served, settings, now)
    sources = row_sources(served.meaning, now)
    steps = _steps(model, served, sources)
    values = [served.value(step.name) for step in steps]  # all of them, before the first is written
    for step, earlier in zip(steps, values, strict=True):
        _set(step, earlier)
    if model.domain_group is not None:
        groups = _groups(model.domain_group.numpy(), served, sources)
        model.domain_group.assign(groups)
    return sources.figures()


def _check_settings(served: ServedModel, settings: ModelSettings, now: Meaning) -> None:
    for key in ("architecture", "plugins", "embedding_dim", "domain_groups"):
        old, new = getattr(served.settings, key), getattr(settings, key)
        if old != new:
            raise CannotGoOn(f"its model.{key} is {old!r}, this run's {new!r}")
    old, new = served.meaning.features, now.features
    if old != new:
        raise CannotGoOn(f"its features are {', '.join(old)}; this run's {', '.join(new)}")


def _steps(model, served: ServedModel, sources: RowSources) -> list[Step]:
    """Return what happens to each variable that goes on, all shapes checked."""
    starts = sources.starts(served.settings.unknown_domain_share > 0)
    special = _special_rows(model, served, sources, starts)
    steps, faults, names = [], [], weight_names(model)
    for variable, name in zip(model.variables, names, strict=True):
        if NEVER.search(name) or variable is model.domain_group:
            continue
        axis, rows = 0, special.get(id(variable))
        if rows is None and hasattr(variable, "domain_axis"):
            axis = variable.domain_axis % len(variable.shape)
            rows = _of_domains(model, variable, starts)
        if _fits(variable, served.shapes.get(name), axis, rows):
            steps.append(Step(variable, name, axis, rows))
        elif not OPTIONAL.search(name):
            there = served.shapes.get(name, "absent")
            faults.append(f"its {name.split('#')[0]} is {there}, this run's {tuple(variable.shape)}")
    expected = [name for name in served.shapes if not (NEVER.search(name) or OPTIONAL.search(name))]
    faults += [f"its {name.split('#')[0]} is no weight of this run" for name in expected if name not in names]
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise CannotGoOn(f"{'; '.join(faults[:SHOWN])}{more}")
    return steps


def _fits(variable, shape: tuple | None, axis: int, rows: np.ndarray | None) -> bool:
    """Return whether the earlier values have the shape of a variable, but for the axis of the rows."""
    if shape is None or len(shape) != len(variable.shape):
        return False
    skipped = None if rows is None else axis
    same = all(a == b for i, (a, b) in enumerate(zip(shape, variable.shape, strict=True)) if i != skipped)
    return same and (rows is None or not len(rows) or rows.max() < shape[axis])


def _set(step: Step, earlier: np.ndarray) -> None:
    if step.sources is None:
        step.variable.assign(earlier)
        return
    values = np.moveaxis(np.array(step.variable.numpy()), step.axis, 0)
    kept = step.sources != FRESH
    values[kept] = np.moveaxis(earlier, step.axis, 0)[step.sources[kept]]
    step.variable.assign(np.moveaxis(values, 0, step.axis))


def _of_domains(model, variable, starts: np.ndarray) -> np.ndarray:
    """Return the sources along a variable's axis of domains, or of the groups that stand for them."""
    if model.model_settings.domain_groups and variable.domain_grouped:
        starts = np.arange(model.n_domains)
    return _blocks(starts, variable.shape[variable.domain_axis] // len(starts))


def _blocks(sources: np.ndarray, width: int) -> np.ndarray:
    """Return the sources of blocks of `width` rows, given those of the blocks."""
    return np.where(sources[:, None] == FRESH, FRESH, sources[:, None] * width + np.arange(width)).ravel()


def _special_rows(
    model, served: ServedModel, sources: RowSources, starts: np.ndarray
) -> dict[int, np.ndarray]:
    """Return the sources of embedding tables and of what domains add to them, by the variable's id."""
    special, names = {}, dict(zip(map(id, model.variables), weight_names(model), strict=True))
    for layer in model._flatten_layers():
        if not (isinstance(layer, FieldEmbedding) and layer.built) or NEVER.search(names[id(layer.table)]):
            continue
        special[id(layer.table)] = rows = _of_table(model, layer, sources, starts)
        added = layer.specific
        keys = names[id(added.keys)] if added.pairs else ""
        if keys in served.shapes:
            before = served.shapes[names[id(layer.table)]][0]
            special[id(added.table)] = _of_pairs(added, rows, starts, served.value(keys), before)
    return special


def _of_table(model, layer: FieldEmbedding, sources: RowSources, starts: np.ndarray) -> np.ndarray:
    """Return the earlier row of every row of an embedding table."""
    first, size = first_rows(sources.before.spec)
    order, _ = first_rows(sources.now.spec)
    rows_of = sources.fields
    one = [np.where(rows_of[name] == FRESH, FRESH, rows_of[name] + first[name]) for name in order]
    one = np.concatenate(one) if one else np.zeros(0, int)
    copies, n_copies = np.zeros(1, int), 1
    if layer.copies > 1:
        groups = model.model_settings.domain_groups
        copies = np.arange(groups + 1) if groups else starts
        n_copies = groups + 1 if groups else sources.before.spec.n_domains + 1
    whole = (copies[:, None] != FRESH) & (one != FRESH)
    table = np.where(whole, copies[:, None] * size + one, FRESH).ravel()
    domains = np.where(starts == FRESH, FRESH, starts + n_copies * size)
    return np.concatenate([table, domains]) if layer.with_domain else table


def _of_pairs(
    added: SparseRows, rows: np.ndarray, starts: np.ndarray, before: np.ndarray, n_rows: int
) -> np.ndarray:
    """Return the earlier place of every pair of domain and embedding; the last place is that of no pair.

    Args:
        added: the layer. rows, starts: sources of the table's rows and of the domains.
        before: the earlier keys, sorted. n_rows: rows of the earlier table.
    """
    domain, row = np.divmod(added.keys.numpy().astype("int64"), added.n_rows)
    known = (starts[domain] != FRESH) & (rows[row] != FRESH)
    wanted = starts[domain] * n_rows + rows[row]
    place = np.searchsorted(before, wanted)
    found = known & (before[np.minimum(place, len(before) - 1)] == wanted)
    return np.append(np.where(found, place, FRESH), len(before))


def _groups(fresh: np.ndarray, served: ServedModel, sources: RowSources) -> np.ndarray:
    """Return each domain's group: the one it had; a new domain joins most of those that it is alike now."""
    name = next(name for name in served.shapes if name.endswith("/domain_group#0"))
    before, known = served.value(name), sources.domains != FRESH
    groups = np.where(known, before[sources.domains], 0)
    named = known & (np.arange(len(known)) < len(known) - 1)  # the unknown domain is a group of its own
    for domain in np.flatnonzero(~known):
        alike = named & (fresh == fresh[domain])
        chosen = groups[alike if alike.any() else named]
        groups[domain] = np.bincount(chosen).argmax() if len(chosen) else before[-1]
    return groups.astype(fresh.dtype)
