"""TFX's Trainer with one input more: the pushed model, whose weights a training may begin with.

TFX's own `base_model` is taken: it is the domain classifier.
"""

from typing import Any, ClassVar

from tfx import types
from tfx import v1 as tfx
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import CUSTOM_CONFIG_KEY
from tfx.types.standard_component_specs import TrainerSpec as TfxTrainerSpec
from tfx.utils import json_utils, path_utils

SERVED = "served_model"


class TrainerSpec(TfxTrainerSpec):
    """TFX's inputs, outputs and parameters, and the pushed model."""

    INPUTS: ClassVar = {
        **TfxTrainerSpec.INPUTS,
        SERVED: ChannelParameter(type=standard_artifacts.Model, optional=True),
    }


class Executor(GenericExecutor):
    """TFX's executor, which hands the pushed model on to `run_fn` as `custom_config["served"]`."""

    def Do(self, input_dict, output_dict, exec_properties):  # noqa: D102 - TFX documents it
        if input_dict.get(SERVED):
            config = json_utils.loads(exec_properties[CUSTOM_CONFIG_KEY])
            config["served"] = _served(artifact_utils.get_single_instance(input_dict[SERVED]))
            exec_properties = {**exec_properties, CUSTOM_CONFIG_KEY: json_utils.dumps(config)}
        super().Do(input_dict, output_dict, exec_properties)


def _served(model: types.Artifact) -> dict[str, Any]:
    """Return `folder` and `version` of LatestBlessedModel's output, or `why_not` it may not be begun from."""
    if not model.get_int_custom_property("found"):
        return {"why_not": "no version is pushed yet"}
    version = model.get_int_custom_property("version")
    later = model.get_string_custom_property("later")
    if later:
        return {"version": version, "why_not": f"version {version} has learned from {later}"}
    return {"folder": path_utils.serving_model_path(model.uri), "version": version, "why_not": ""}


class Trainer(BaseComponent):
    """Runs `models.trainer.run_fn`.

    Args:
        examples: transformed rows. transform_graph, schema: of Transform and LogSchemaGen.
        train_args, eval_args: the splits.
        custom_config: see `run_fn`.
        base_model: the domain classifier, if any.
        served_model: LatestBlessedModel's output, if the training may begin from it.
        hyperparameters: ModelOverrides' output, if the run may change the model.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        train_args: tfx.proto.TrainArgs,
        eval_args: tfx.proto.EvalArgs,
        custom_config: dict[str, Any],
        base_model: types.BaseChannel | None = None,
        served_model: types.BaseChannel | None = None,
        hyperparameters: types.BaseChannel | None = None,
    ):
        super().__init__(
            TrainerSpec(
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                base_model=base_model,
                served_model=served_model,
                hyperparameters=hyperparameters,
                train_args=train_args,
                eval_args=eval_args,
                run_fn="models.trainer.run_fn",
                custom_config=json_utils.dumps(custom_config),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
