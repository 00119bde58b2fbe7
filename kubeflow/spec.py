"""What TFX's compiler leaves out of a pipeline spec: defaults, resources, volumes, artifact paths."""

from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, TaskInputsSpec
from kubernetes.utils.quantity import parse_quantity

from pipeline.kubeflow_settings import KubeflowSettings, Resources

Container = PipelineDeploymentConfig.PipelineContainerSpec


def set_parameters(spec: dict, parameters: dict[str, tuple[str | None, str]]) -> None:
    """Give the run-time parameters their defaults, without which Kubeflow asks for each of them.

    Args:
        spec: the pipeline spec, changed in place.
        parameters: default and description by name; None for one that a run must give.
    """
    for name, (default, description) in parameters.items():
        parameter = spec["root"]["inputDefinitions"]["parameters"][name]
        parameter["description"] = description
        if default is not None:
            parameter |= {"defaultValue": default, "isOptional": True}


def set_artifact_places(spec: dict, root: str | None) -> None:
    """Tell every step's entry point where its artifacts are files.

    Args:
        spec: the pipeline spec, changed in place.
        root: folder on a volume, or None for the launcher's own copies.
    """
    for component in spec["components"].values():
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        if root:
            container["args"] += ["--artifact_root", root]
            continue
        for side in ("inputs", "outputs"):
            for name in component.get(f"{side[:-1]}Definitions", {}).get("artifacts", {}):
                place = f"{side}.{name}={{{{$.{side}.artifacts['{name}'].path}}}}"
                container["args"] += ["--artifact_path", place]


def set_resources(spec: dict, resources: dict[str, Resources]) -> None:
    """Write what each component's container gets.

    Args:
        spec: the pipeline spec, changed in place. resources: by task.
    """
    for task, asked in resources.items():
        label = spec["components"][task]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        container["resources"] = json_format.MessageToDict(_resource_spec(asked))


def _resource_spec(asked: Resources) -> Container.ResourceSpec:
    """Return the texts, and the numbers that older versions of Kubeflow read instead (cores, 10^9 bytes)."""
    proto = Container.ResourceSpec()
    for name, unit in (("cpu", 1), ("memory", 1e9)):
        for kind, text in (("request", getattr(asked, name)), ("limit", getattr(asked, f"{name}_limit"))):
            if text:
                setattr(proto, f"resource_{name}_{kind}", text)
                setattr(proto, f"{name}_{kind}", float(parse_quantity(text)) / unit)
    if asked.gpu:
        proto.accelerator.resource_type = proto.accelerator.type = asked.gpu_type
        proto.accelerator.resource_count, proto.accelerator.count = str(asked.gpu), asked.gpu
    return proto


def set_uncached(spec: dict, tasks: list[str]) -> None:
    """Let some tasks run anew every time."""
    for task in tasks:
        spec["root"]["dag"]["tasks"][task].pop("cachingOptions", None)


def platform_spec(spec: dict, settings: KubeflowSettings) -> dict[str, Any]:
    """Return the second document of the compiled file: what Kubernetes does for the steps.

    Args:
        spec: the pipeline spec. settings: whose volumes every step mounts.
    """
    mounts = [
        kubernetes.PvcMount(
            constant=claim,  # older versions of Kubeflow read this, newer ones the parameter
            pvc_name_parameter=_constant(claim),
            mount_path=path,
        )
        for claim, path in settings.volumes.items()
    ]
    namespace = kubernetes.FieldPathAsEnv(name="KFP_NAMESPACE", field_path="metadata.namespace")
    step = kubernetes.KubernetesExecutorConfig(pvc_mount=mounts, field_path_as_env=[namespace])
    executors = {label: json_format.MessageToDict(step) for label in spec["deploymentSpec"]["executors"]}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _constant(value: str) -> TaskInputsSpec.InputParameterSpec:
    parameter = TaskInputsSpec.InputParameterSpec()
    parameter.runtime_value.constant.string_value = value
    return parameter
