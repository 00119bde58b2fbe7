"""A real TF Serving loads the model before it is pushed: TFX's InfraValidator, as a step that can stop a run.

TFX's own component is refused by its compiler for Kubeflow Pipelines v2, and its blessing stops nobody.
"""

from tfx import types
from tfx.components.infra_validator.executor import Executor as InfraValidatorExecutor
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.proto import infra_validator_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.standard_component_specs import BLESSING_KEY, InfraValidatorSpec

from pipeline.kubeflow_settings import InfraValidation


class ServingError(RuntimeError):
    """TF Serving did not serve the model; nothing is pushed."""


class Executor(InfraValidatorExecutor):
    """TFX's executor, whose "no" ends the run."""

    def Do(self, input_dict, output_dict, exec_properties):  # noqa: D102 - TFX documents it
        super().Do(input_dict, output_dict, exec_properties)
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        if blessing.get_int_custom_property("blessed") != 1:
            raise ServingError(
                "TF Serving did not serve the model, so nothing is pushed; the log above says why. How long "
                "it had is kubeflow.infra_validation.seconds, for each of .tries."
            )


class ServingValidator(BaseComponent):
    """Starts TF Serving as a pod beside the step, on the volume that holds the model, until it answers.

    Args:
        model: the model, on a persistent volume that several pods can mount.
        settings: which TF Serving, and how long it has.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, model: types.BaseChannel, settings: InfraValidation):
        name, _, tag = settings.image.rpartition(":")
        serving = infra_validator_pb2.TensorFlowServing(image_name=name, tags=[tag])
        super().__init__(
            InfraValidatorSpec(
                model=model,
                serving_spec=infra_validator_pb2.ServingSpec(
                    tensorflow_serving=serving, kubernetes=infra_validator_pb2.KubernetesConfig()
                ),
                validation_spec=infra_validator_pb2.ValidationSpec(
                    max_loading_time_seconds=settings.seconds, num_tries=settings.tries
                ),
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
