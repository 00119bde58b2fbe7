"""Compiles the pipeline for Kubeflow Pipelines v2: the same graph as on one machine."""

import hashlib
import json
import os
from pathlib import Path

from tfx import v1 as tfx

from pipeline.config import Config
from pipeline.graph import Launch, create_components
from pipeline.source import code_version


def compile_pipeline(config: Config, out: Path) -> None:
    """Write the pipeline spec that Kubeflow Pipelines v2 runs.

    What a launch on one machine looks up in the file system is a run-time parameter on the cluster:
    `data-fingerprint` (a new value makes ingest read the logs again) and `baseline-version` (a new value
    makes the comparison with the served model run again).

    Args:
        config: the checked config; image, pipeline root and serving folder come from its `kubeflow` part.
        out: the `.yaml` file to write.

    Raises:
        ValueError: `out` does not end in .yaml; Kubeflow takes the bare spec in that form only.
    """
    if out.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{out} must end in .yaml: Kubeflow Pipelines v2 takes the spec in that form.")
    code = code_version("models", "components")
    made_of = config.model_dump_json(exclude={"beam", "kubeflow"}) + code
    launch = Launch(
        fingerprint=tfx.dsl.experimental.RuntimeParameter(name="data-fingerprint", ptype=str, default=""),
        run_key=hashlib.sha256(made_of.encode()).hexdigest()[:16],
        baseline=tfx.dsl.experimental.RuntimeParameter(name="baseline-version", ptype=str, default=""),
        push=config.kubeflow.serving,
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.kubeflow.pipeline_root,
        components=create_components(config, launch),
        enable_cache=True,
        beam_pipeline_args=config.beam.pipeline_args,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{os.getpid()}.{out.name}")
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image=config.kubeflow.image, use_pipeline_spec_2_1=True
        ),
        output_dir=str(beside.parent),
        output_filename=beside.name,
    )
    try:
        runner.run(pipeline)
        with open(beside, "a", encoding="utf-8") as spec:  # TFX leaves it out of the bare spec
            spec.write(f"defaultPipelineRoot: {json.dumps(config.kubeflow.pipeline_root)}\n")
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)
