"""The component between its neighbours: it refuses a log that lacks the split's column, and TFX reads on."""

import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFDV imports and the wheels lack

# isort: split
import apache_beam as beam
import numpy as np
import polars as pl
import pytest
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.components.statistics_gen.executor import Executor as StatisticsGenExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts, standard_component_specs

from components.log_example_gen.component import LogExampleGen
from components.log_example_gen.settings import SPLITS, DataSettings, SplitSettings
from pipeline.config import LOCAL_BEAM
from schema.log_schema import LogSchema

BEAM_ARGS = list(LOCAL_BEAM)
LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "features": {"item": None, "price": {"kind": "numeric"}},
    }
)
ROWS = 300


@pytest.fixture
def ingest(tmp_path):
    """Run the component on a log without times or users; return the Examples."""
    for day in ("2026-01-01", "2026-01-02"):
        (tmp_path / "logs" / day).mkdir(parents=True)
        pl.DataFrame(
            {
                "channel": ["news", "sport", ""] * (ROWS // 6),
                "click": [0, 1] * (ROWS // 4),
                "item": range(ROWS // 2),
                "price": np.linspace(0, 1, ROWS // 2),
            }
        ).write_csv(tmp_path / "logs" / day / "part.csv")

    def _ingest(**split):
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "out")
        LogExampleGen.test_call(
            examples=examples,
            data=DataSettings(path=f"{tmp_path}/logs/{{DATE}}/*.csv", max_bad_share=0.5).model_dump_json(),
            log=LOG.model_dump_json(),
            split=SplitSettings.model_validate(split).model_dump_json(),
            beam_pipeline=beam.Pipeline(options=PipelineOptions(BEAM_ARGS)),
        )
        return examples

    return _ingest


@pytest.mark.parametrize("by", ["time", "user"])
def test_a_split_by_what_the_log_lacks_is_refused(ingest, tmp_path, by):
    with pytest.raises(ValueError, match=rf"split\.by is '{by}', but log\.{by} is not set"):
        ingest(by=by)
    assert not (tmp_path / "out").exists()


def test_stock_statistics_count_the_rows_that_the_properties_name(ingest, tmp_path):
    examples = ingest(by="random", validation=0.2, test=0.2)
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(tmp_path / "statistics")
    context = BaseBeamExecutor.Context(beam_pipeline_args=BEAM_ARGS, tmp_dir=str(tmp_path), unique_id="1")
    StatisticsGenExecutor(context).Do(
        {standard_component_specs.EXAMPLES_KEY: [examples]},
        {standard_component_specs.STATISTICS_KEY: [statistics]},
        {standard_component_specs.EXCLUDE_SPLITS_KEY: "[]"},
    )
    for split in SPLITS:
        figures = tfdv.load_stats_binary(f"{statistics.uri}/Split-{split}/FeatureStats.pb").datasets[0]
        assert figures.num_examples == examples.get_int_custom_property(f"rows_{split}") > 0
        names = {feature.path.step[0] for feature in figures.features}
        assert names == {"channel", "item", "price", "label"}


def test_dead_letters_tell_files_of_one_name_apart(ingest, tmp_path):
    examples = ingest(by="random", validation=0.2, test=0.2)
    letters = pl.concat(
        pl.read_ndjson(file) for file in sorted((tmp_path / "out" / "dead_letters").iterdir())
    )
    assert set(letters["file"]) == {"2026-01-01/part.csv", "2026-01-02/part.csv"}
    assert len(letters) == examples.get_int_custom_property("bad_rows") == ROWS // 3
    assert examples.get_int_custom_property("rows") + len(letters) == ROWS
    assert not list((tmp_path / "out").rglob(".*"))
