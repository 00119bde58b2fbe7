"""CounterfactualAugmenter as a TFX component."""

import os
from pathlib import Path

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.parquet as pq
from absl import logging
from apache_beam.io import fileio
from tfx import v1 as tfx
from tfx.types import artifact_utils

from components.counterfactual_augmenter.augment import MOVES, AugmentRows
from components.counterfactual_augmenter.plan import read_plan
from components.counterfactual_augmenter.settings import AugmentationSettings
from components.log_example_gen.handing import hand_through, write_table
from components.log_example_gen.records import compress
from components.log_example_gen.settings import SPLITS
from models.settings import AUGMENTED
from schema import progress
from schema.log_schema import LogSchema

MOVES_FILE, DOMAINS_FILE = "moves.parquet", "domains.parquet"
MANY = 10  # copies of a row, in the mean, above which a warning says so


@tfx.dsl.components.component(use_beam=True)
def CounterfactualAugmenter(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    popularity: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    augmented_examples: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples],
    moves: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    log: tfx.dsl.components.Parameter[str],
    settings: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
):
    """Add a split of rows that were copied from major to minor domains, made of training rows alone.

    Where nothing can be augmented the split has no row, and the run goes on.

    Args:
        examples: of LogExampleGen. popularity: of ItemPopularity, of the same rows.
        augmented_examples: receives the splits of `examples` as they are, and `augmented`.
        moves: receives `moves.parquet` (see `AugmentRows`) and `domains.parquet` (see `Plan.domains`), and as
            custom properties `rows`, of how many `originals` they are copies, the expected number `target`,
            the number `unpopular_items`, and `reason`: why there are no rows, empty if there are.
        log: `LogSchema` as JSON. settings: `AugmentationSettings` as JSON.
        code: hash of the source, for the cache only.
        beam_pipeline: where to run.
    """
    log_schema = LogSchema.model_validate_json(log)
    chosen = AugmentationSettings.model_validate_json(settings)
    plan = read_plan(popularity.uri, chosen)
    augmented_examples.split_names = artifact_utils.encode_split_names([*SPLITS, AUGMENTED])
    hand_through(examples, augmented_examples, SPLITS)
    folder = Path(augmented_examples.uri) / f"Split-{AUGMENTED}"
    folder.mkdir(parents=True, exist_ok=True)
    moves.split_names = artifact_utils.encode_split_names([AUGMENTED])
    if plan.reason:
        write_table(MOVES.empty_table(), moves.uri, MOVES_FILE)
    else:
        train = artifact_utils.get_split_uri([examples], "train")
        with beam_pipeline as pipeline:
            plans = (  # read by the worker that needs it: the table may be too large for a job's description
                pipeline
                | "Popularity" >> beam.Create([popularity.uri])
                | "Plan" >> beam.Map(read_plan, chosen)
            )
            (
                pipeline
                | "Files" >> beam.Create([os.path.join(train, "*")])
                | "Match" >> fileio.MatchAll()
                | "Path" >> beam.Map(lambda file: file.path)
                | "Augment" >> AugmentRows(plans, str(folder), log_schema, chosen.seed)
                | "Write" >> beam.Map(write_table, moves.uri, MOVES_FILE)
            )
    write_table(plan.domains, moves.uri, DOMAINS_FILE)
    made = pq.read_table(os.path.join(moves.uri, MOVES_FILE))
    rows, originals = (pc.sum(made[name]).as_py() or 0 for name in ("rows", "originals"))
    reason = plan.reason or ("" if rows else f"none was drawn, {plan.target:.2g} being expected")
    if not rows:
        (folder / "data-00000.gz").write_bytes(compress(b""))  # Transform needs a file to read
    moves.set_int_custom_property("rows", rows)
    moves.set_int_custom_property("originals", originals)
    moves.set_float_custom_property("target", plan.target)
    moves.set_int_custom_property("unpopular_items", plan.unpopular.num_rows)
    moves.set_string_custom_property("reason", reason)
    progress.report("CounterfactualAugmenter", rows=rows)
    warning = f"no rows are augmented: {reason}." if reason else ""
    if rows > MANY * originals:
        warning = (
            f"{rows:,} augmented rows are copies of {originals:,} rows of the log: lower augmentation.r_aug,"
            " or raise rho or exposure, so that more items are unpopular."
        )
    if warning:
        logging.warning("%s", warning)
        progress.report("CounterfactualAugmenter", warning=warning)
