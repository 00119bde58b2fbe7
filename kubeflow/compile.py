"""Compiles the pipeline for Kubeflow Pipelines v2: the same graph as on one machine."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import yaml
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from tfx import v1 as tfx
from tfx.dsl.components.base.base_component import BaseComponent

from kubeflow import spec as specs
from kubeflow.serving_validator import ServingValidator
from pipeline.config import Config
from pipeline.config_errors import ConfigError
from pipeline.graph import create_components
from pipeline.launch import Launch
from pipeline.preflight import curated_schema
from pipeline.source import config_key
from schema.atomic import write_whole
from schema.suggest import nearest

COMMAND = ("python", "-m", "kubeflow.entrypoint")
LONGEST_SCHEMA = 100_000  # Linux takes 131,072 bytes as one argument, and a step gets all parameters as one
LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner", "PrismRunner", "BundleBasedDirectRunner")


def compile_pipeline(config: Config, out: Path) -> None:
    """Write the pipeline spec that Kubeflow Pipelines v2 runs.

    What may differ from run to run is a parameter of the run: see `parameters`.

    Args:
        config: the checked config; image, pipeline root and serving folder come from its `kubeflow` part.
        out: the `.yaml` file to write.

    Raises:
        ValueError: `out` does not end in .yaml; Kubeflow takes the bare spec in that form only.
        ConfigError: a key of `kubeflow` names a component that there is not, Beam's workers could not see the
            artifacts, or the curated schema cannot be read or is too long to travel in the spec.
    """
    if out.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{out} must end in .yaml: Kubeflow Pipelines v2 takes the spec in that form.")
    settings = config.kubeflow
    _check_beam(config)
    _check_schema(config)
    components = _components(config)
    tasks = {component.id: _task_id(component.id) for component in components}
    for key in ("resources", "uncached"):
        _check_ids(f"kubeflow.{key}", getattr(settings, key), tasks)
    for component in components:
        component.with_id(tasks[component.id])
    root = settings.pipeline_root if settings.on_volume(settings.pipeline_root) else None
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=settings.pipeline_root,
        components=components,
        enable_cache=settings.cache,
        beam_pipeline_args=config.beam.pipeline_args,
    )
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image=settings.image, default_commands=list(COMMAND), use_pipeline_spec_2_1=True
        )
    )
    spec = runner.run(pipeline, write_out=False)["pipelineSpec"]
    specs.set_parameters(spec, parameters(config))
    specs.set_artifact_places(spec, root)
    specs.set_resources(spec, {tasks[name]: asked for name, asked in settings.resources.items()})
    specs.set_uncached(spec, [tasks[name] for name in settings.uncached])
    if root is None:  # else the cluster's own root names the artifacts, which lie on the volume
        spec["defaultPipelineRoot"] = settings.pipeline_root
    write_whole(out, yaml.safe_dump_all([spec, specs.platform_spec(spec, settings)], sort_keys=True))


def parameters(config: Config) -> dict[str, tuple[str | None, str]]:
    """Return default and description of each parameter of a run; None for one that every run must give."""
    path = config.data.path if config.kubeflow.on_volume(config.data.path) else None
    return {
        "data-path": (path, "Where the logs are, as data.path of the config: a path on a volume."),
        "span": ("", "Newest date to read, if data-path has {DATE}; empty: data.span, else the newest."),
        "data-fingerprint": ("", "Any new text reads logs again that changed behind the same path and span."),
        "model": ("{}", 'JSON of the model\'s keys that differ, such as {"architecture": "star"}.'),
        "gate": ("{}", 'JSON of the gate\'s keys that differ, such as {"overall": {"min_auc": 0.6}}.'),
    }


def _components(config: Config) -> list[BaseComponent]:
    given = {name: tfx.dsl.experimental.RuntimeParameter(name=name, ptype=str) for name in parameters(config)}
    launch = Launch(
        fingerprint=given["data-fingerprint"],
        config_key=config_key(config),
        baseline="",  # LatestBlessedModel looks for itself in every run
        push=config.kubeflow.serving,
        path=given["data-path"],
        span=given["span"],
        model=given["model"],
        gate=given["gate"],
    )
    components = create_components(config, launch)
    if config.kubeflow.infra_validation:
        by_id = {component.id: component for component in components}
        model = by_id["Trainer"].outputs["model"]
        validator = ServingValidator(model, config.kubeflow.infra_validation)
        by_id["ModelPusher"].add_upstream_node(validator)
        components.insert(components.index(by_id["ModelPusher"]), validator)
    return components


def _task_id(component: str) -> str:
    """Return a component's id as Kubernetes wants names: LogExampleGen becomes log-example-gen."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", component).lower()


def _check_ids(key: str, named: Iterable[str], known: Iterable[str]) -> None:
    for name in named:
        if name not in known:
            there = ", ".join(known)
            raise ConfigError(f"{key} names {name!r}; the components are: {there}.{nearest(name, known)}")


def _check_schema(config: Config) -> None:
    length = len(json.dumps(curated_schema(config.checks)))
    if length > LONGEST_SCHEMA:
        raise ConfigError(
            f"checks.schema_file takes {length:,} characters of the spec; a step takes {LONGEST_SCHEMA:,}: "
            "list fewer values (only the domain's must be), or leave it out to have the schema inferred."
        )


def _check_beam(config: Config) -> None:
    runner = PipelineOptions(config.beam.pipeline_args).view_as(StandardOptions).runner
    if runner not in LOCAL_RUNNERS and not config.kubeflow.on_volume(config.kubeflow.pipeline_root):
        raise ConfigError(
            f"beam.args name the {runner}, whose workers do not see a step's own files: "
            "kubeflow.pipeline_root must be a folder on a volume that they mount, too; it is "
            f"{config.kubeflow.pipeline_root!r}."
        )
