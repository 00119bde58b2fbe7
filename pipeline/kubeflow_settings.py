"""Where and with what a compiled pipeline runs on Kubeflow."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from schema.base import Settings

BUCKET = re.compile(r"(gs|s3|minio)://[^/]")  # what the launcher of Kubeflow Pipelines v2 takes as a root
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def _quantity(given: object) -> str:
    if not QUANTITY.fullmatch(str(given)):
        raise ValueError("it must be a quantity of Kubernetes, such as 500m or 4 for cores, 16Gi for bytes")
    return str(given)


Quantity = Annotated[str, BeforeValidator(_quantity)]


class Resources(Settings):
    """What the container of one component gets; None leaves it to the cluster.

    Attributes:
        cpu, memory: reserved for it: Kubernetes quantities such as 500m or 4, 16Gi.
        cpu_limit, memory_limit: what it may use at most; above its memory it is killed.
        gpu: accelerators, which are always a limit. gpu_type: their resource name.
    """

    cpu: Quantity | None = None
    cpu_limit: Quantity | None = None
    memory: Quantity | None = None
    memory_limit: Quantity | None = None
    gpu: int = Field(0, ge=0)
    gpu_type: str = "nvidia.com/gpu"

    @model_validator(mode="after")
    def _limits_are_not_smaller(self):
        from kubernetes.utils.quantity import parse_quantity  # late: half a second

        for name in ("cpu", "memory"):
            asked, limit = getattr(self, name), getattr(self, f"{name}_limit")
            if asked and limit and parse_quantity(asked) > parse_quantity(limit):
                raise ValueError(f"{name}_limit {limit} is smaller than {name} {asked}")
        return self


class InfraValidation(Settings):
    """How a real TF Serving tries a model before it is pushed.

    Attributes:
        image: TF Serving's image with its tag, the one that production runs.
        seconds: how long the model may take to load. tries: how often it is tried.
    """

    image: str = Field("tensorflow/serving:2.21.0", pattern=r"^.+:[\w.-]+$")
    seconds: int = Field(300, ge=1)
    tries: int = Field(2, ge=1)


class KubeflowSettings(Settings):
    """Where and with what a compiled pipeline runs.

    Attributes:
        image: container image of this project (see kubeflow/Dockerfile).
        volumes: persistent volume claims that every step mounts, and where.
        pipeline_root: where artifacts go: a bucket, such as minio://mlpipeline/mdr, of which the launcher
            copies each step's inputs in and its outputs out, or a folder on one of the volumes.
        serving: folder on one of the volumes, where the served versions appear.
        resources: by component id, such as `Trainer`.
        cache: whether a step whose inputs, parameters and code have not changed is left out.
        uncached: ids of components that always run; those that look at what no parameter shows.
        infra_validation: tries each model in a real TF Serving before it is pushed; None leaves that out.
    """

    image: str = "mdr:latest"
    volumes: dict[str, str] = Field(default_factory=lambda: {"mdr": "/mnt/mdr"})
    pipeline_root: str = "/mnt/mdr/pipeline-root"
    serving: str = "/mnt/mdr/serving"
    resources: dict[str, Resources] = Field(default_factory=dict)
    cache: bool = True
    uncached: tuple[str, ...] = ("LatestBlessedModel",)
    infra_validation: InfraValidation | None = None

    @model_validator(mode="after")
    def _paths_are_on_volumes(self):
        if not self.on_volume(self.serving):
            raise ValueError(f"serving is {self.serving!r}, which is on no volume ({self._mounts})")
        if not BUCKET.match(self.pipeline_root) and not self.on_volume(self.pipeline_root):
            raise ValueError(
                f"pipeline_root is {self.pipeline_root!r}, neither a bucket (gs://, s3:// or minio://) nor a "
                f"folder on a volume ({self._mounts})"
            )
        if self.infra_validation and not self.on_volume(self.pipeline_root):
            raise ValueError(
                f"infra_validation needs a pipeline_root on a volume, for TF Serving mounts the model; it is "
                f"{self.pipeline_root!r}"
            )
        return self

    def on_volume(self, path: str) -> bool:
        """Return whether a path lies on one of the volumes."""
        return any(PurePosixPath(path).is_relative_to(mount) for mount in self.volumes.values())

    @property
    def _mounts(self) -> str:
        mounts = ", ".join(f"{claim} at {mount}" for claim, mount in self.volumes.items())
        return f"volumes: {mounts or 'none'}"
