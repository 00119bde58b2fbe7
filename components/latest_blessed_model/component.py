"""The latest blessed model as a TFX component; a Resolver would not run on Kubeflow Pipelines v2."""

import shutil

from tfx import v1 as tfx
from tfx.utils import path_utils

from components.latest_blessed_model.versions import key_of_run, latest_version


@tfx.dsl.components.component
def LatestBlessedModel(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    push: tfx.dsl.components.Parameter[str],
    config_key: tfx.dsl.components.Parameter[str],
    overrides: tfx.dsl.components.Parameter[str] = "",
    as_of: tfx.dsl.components.Parameter[str] = "",
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Copy the version that serves now out of the push target.

    Args:
        examples: of this run; its properties `fingerprint` and `date` tell the data apart.
        model: receives the SavedModel; its property `found` is 0 where there is none, `version` its number,
            `later` says of which later logs it has learned: no training of this run may begin from it.
        push: the push target.
        config_key, overrides: see `key_of_run`.
        as_of: the version that was the latest when the run started, for the cache only.
        code: hash of the source, for the cache only.
    """
    run_key = key_of_run(config_key, examples.get_string_custom_property("fingerprint"), overrides)
    date = examples.get_string_custom_property("date")
    latest = latest_version(push, run_key, date)
    model.set_int_custom_property("found", int(latest is not None))
    if latest is not None:
        model.set_int_custom_property("version", latest.number)
        if date and latest.date > date:
            model.set_string_custom_property("later", f"logs up to {latest.date}, this run's end at {date}")
        shutil.copytree(latest.folder, path_utils.serving_model_path(model.uri))
