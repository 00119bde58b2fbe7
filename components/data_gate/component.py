"""The data gate as a TFX component."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_gate.findings import DataGateError
from components.data_gate.gate import judge
from components.data_gate.settings import ChecksSettings
from schema import progress
from schema.atomic import write_whole
from schema.log_schema import LogSchema

GATE_FILE = "gate.json"


@tfx.dsl.components.component
def DataGate(
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    statistics: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    schema: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Schema],
    gate: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
    log: tfx.dsl.components.Parameter[str],
    checks: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Write `gate.json`, the list of findings, and stop the run if one of them says so.

    Args:
        anomalies: of every split, from ExampleValidator.
        statistics: of every split.
        schema: what ExampleValidator held them against.
        gate: receives `gate.json` and, as custom properties, the numbers `stops` and `warnings`.
        log: `LogSchema` as JSON.
        checks: `ChecksSettings` as JSON.
        code: hash of the source, for the cache only.

    Raises:
        DataGateError: at least one finding stops the run; the message lists them.
    """
    splits = artifact_utils.decode_split_names(statistics.split_names)
    findings = judge(
        {split: load_statistics(statistics, split).proto() for split in splits},
        {split: _read_anomalies(anomalies, split) for split in splits},
        io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri)),
        LogSchema.model_validate_json(log),
        ChecksSettings.model_validate_json(checks),
    )
    stops = [finding for finding in findings if finding.severity == "stop"]
    gate.split_names = statistics.split_names
    gate.set_int_custom_property("stops", len(stops))
    gate.set_int_custom_property("warnings", len(findings) - len(stops))
    found = json.dumps([asdict(finding) for finding in findings], indent=2)
    write_whole(Path(gate.uri, GATE_FILE), found)
    progress.report("DataGate", stops=len(stops), warnings=len(findings) - len(stops))
    for finding in findings:
        logging.warning("%s", finding)
    if stops:
        raise DataGateError(stops)


def _read_anomalies(anomalies, split: str) -> anomalies_pb2.Anomalies:
    path = os.path.join(artifact_utils.get_split_uri([anomalies], split), DEFAULT_FILE_NAME)
    with open(path, "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())
