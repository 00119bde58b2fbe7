"""Who gives rows and who gets them: all of it follows from ItemPopularity's counts."""

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.counterfactual_augmenter.settings import AugmentationSettings
from components.item_popularity.popularity import COUNTS, ITEMS_BY_DOMAIN, add_up, smoothed_rate


@dataclass(frozen=True)
class Plan:
    """What every worker must know to augment its rows by itself.

    Attributes:
        domains: the training split's `domain`s, largest first, with their `rows`, their `share` of all rows,
            whether they are `minor`, and `drawn`: the chance that an augmented row is theirs.
        unpopular: `item` and `popularity`, p(i), of the unpopular items alone.
        target: rows to be made, in expectation.
        copies: expected copies of a positive on an unpopular item in a major domain, times its p(i).
        reason: why there is nothing to augment; empty if there is.
    """

    domains: pa.Table
    unpopular: pa.Table
    target: float = 0.0
    copies: float = 0.0
    reason: str = ""

    @property
    def majors(self) -> pa.ChunkedArray:
        """Names of the major domains."""
        return self.domains.filter(pc.invert(self.domains["minor"]))["domain"]


def read_plan(folder: str, settings: AugmentationSettings) -> Plan:
    """Return the plan for the counts that ItemPopularity left in a folder."""
    return make_plan(pq.read_table(os.path.join(folder, ITEMS_BY_DOMAIN)), settings)


def make_plan(counts: pa.Table, settings: AugmentationSettings) -> Plan:
    """Return the plan for some counts.

    p(i) is the smoothed rate of an item over all domains, the number of training rows that of the rows with
    an item. Where the paper is silent: a row is drawn with a weight of 1 / p(i), its new domain in proportion
    to what a minor domain lacks to the equal share of the rows. Beside a major domain the smallest always
    lacks some.

    Args:
        counts: impressions and positives per item and domain, with the columns `COUNTS`.
        settings: which rows, and how many.

    Raises:
        ValueError: a count is missing.
    """
    if any(counts[name].null_count for name in COUNTS.names):
        raise ValueError("the counts of ItemPopularity are not whole: an item, domain or number is missing.")
    domains, unpopular = _domains(counts, settings.minor_share), _unpopular(counts, settings)
    plan = Plan(domains, unpopular)
    given = counts.filter(pc.is_in(counts["domain"], plan.majors.combine_chunks()))
    place = pc.index_in(given["item"], unpopular["item"].combine_chunks())
    weights = pc.divide(pc.cast(given["positives"], pa.float64()), unpopular["popularity"].take(place))
    weight = pc.sum(weights).as_py() or 0.0  # of all rows that may be drawn
    reason = _nothing_to_do(plan, weight, settings)
    if reason:
        return Plan(domains, unpopular, reason=reason)
    target = settings.r_aug * pc.sum(domains["rows"]).as_py()
    return Plan(domains, unpopular, target, target / weight)


def _domains(counts: pa.Table, minor_share: float) -> pa.Table:
    totals = add_up([counts], ("domain",)).sort_by([("impressions", "descending"), ("domain", "ascending")])
    rows = totals["impressions"].to_numpy()
    share = rows / max(rows.sum(), 1)
    minor = share < minor_share
    lack = np.where(minor, np.maximum(0.0, 1 / max(len(rows), 1) - share), 0.0)
    columns = {"rows": rows, "share": share, "minor": minor, "drawn": lack / (lack.sum() or 1.0)}
    return pa.table({"domain": totals["domain"], **columns})


def _unpopular(counts: pa.Table, settings: AugmentationSettings) -> pa.Table:
    items = add_up([counts], ("item",))
    popularity = smoothed_rate(items["positives"], items["impressions"])
    chosen = pa.chunked_array([np.zeros(items.num_rows, bool)])
    if settings.rho is not None:
        chosen = pc.or_(chosen, pc.less(popularity, settings.rho))
    if settings.exposure is not None:
        chosen = pc.or_(chosen, pc.less_equal(items["impressions"], settings.exposure))
    return pa.table({"item": items["item"], "popularity": popularity}).filter(chosen)


def _nothing_to_do(plan: Plan, weight: float, settings: AugmentationSettings) -> str:
    """Return the first reason why no row can be augmented; empty if one can."""
    minors = pc.sum(plan.domains["minor"]).as_py() or 0
    if plan.domains.num_rows == 0:
        return "no training row names an item"
    if minors == plan.domains.num_rows:
        return f"no domain is major: each has less than {settings.minor_share:g} of the training rows"
    if minors == 0:
        return f"no domain is minor: each has at least {settings.minor_share:g} of the training rows"
    if plan.unpopular.num_rows == 0:
        rules = [f"p(i) < {settings.rho:g}"] if settings.rho is not None else []
        if settings.exposure is not None:
            rules.append(f"at most {settings.exposure:,} impressions")
        return f"no item is unpopular ({' or '.join(rules)})"
    return "" if weight else "no unpopular item has a positive in a major domain"
