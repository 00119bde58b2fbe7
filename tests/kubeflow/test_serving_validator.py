"""The step that tries a model in TF Serving: a "no" of TFX's InfraValidator ends the run."""

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import channel_utils, standard_artifacts

from kubeflow.serving_validator import Executor, ServingError, ServingValidator
from pipeline.kubeflow_settings import InfraValidation


def test_without_a_tf_serving_that_serves_the_model_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))  # no cluster, so no TF Serving can be started
    model, blessing = standard_artifacts.Model(), standard_artifacts.InfraBlessing()
    model.uri, blessing.uri = str(tmp_path / "model"), str(tmp_path / "blessing")
    (tmp_path / "model" / "Format-Serving").mkdir(parents=True)
    (tmp_path / "model" / "Format-Serving" / "saved_model.pb").write_text("")
    step = ServingValidator(channel_utils.as_channel([model]), InfraValidation(tries=1))
    context = BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    given = {name: text for name, text in step.exec_properties.items() if text}
    with pytest.raises(ServingError, match="TF Serving did not serve the model"):
        Executor(context).Do({"model": [model]}, {"blessing": [blessing]}, given)
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").is_file()
    assert blessing.get_int_custom_property("blessed") == 0
