"""The manifests fit the schemas of Kubernetes and KServe, and one another."""

import re
from pathlib import Path

import kserve.models
import kubernetes.client.models
import kubernetes_validate
import pytest
import yaml

from pipeline.kubeflow_settings import InfraValidation, KubeflowSettings

FOLDER = Path(__file__).parents[2] / "kubeflow" / "manifests"
KUBERNETES = ("1.28", "1.34")  # oldest and newest that are checked


def documents():
    files = sorted(FOLDER.glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def named(kind, name="mdr-serving"):
    [found] = [d for d in documents() if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def check_kserve(value, kind: str, where: str) -> None:
    """Hold a value against the models that KServe's SDK has of its resources, key by key.

    Raises:
        ValueError: a key that the model does not have, a required one that is missing, or another type.
    """
    inner = re.fullmatch(r"(?:list\[|dict\(str, )(.+)[\])]", kind)
    if inner:
        if not isinstance(value, list if kind.startswith("list") else dict):
            raise ValueError(f"{where} must be of the kind {kind}")
        items = enumerate(value) if isinstance(value, list) else value.items()
        for key, item in items:
            check_kserve(item, inner[1], f"{where}.{key}")
        return
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
    if model is None:
        simple = {"int": int, "bool": bool, "str": str, "float": (int, float)}
        if kind in simple and (not isinstance(value, simple[kind]) or (kind == "int" and value is True)):
            raise ValueError(f"{where} is {value!r}, which is no {kind}")
        return
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    for key, item in value.items():
        if key not in types:
            raise ValueError(f"{where} has no key {key}; it has {', '.join(types)}")
        check_kserve(item, types[key], f"{where}.{key}")
    pythonic = {python: value[key] for python, key in model.attribute_map.items() if key in value}
    model(**pythonic)  # refuses what misses a required key


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_key(version):
    checked = [document for document in documents() if "kserve" not in document["apiVersion"]]
    kinds = {"Deployment", "Service", "HorizontalPodAutoscaler", "PersistentVolumeClaim", "CronJob"}
    assert kinds <= {document["kind"] for document in checked}
    for document in checked:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_mistyped_key_is_found():
    deployment = named("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


def test_kserve_knows_every_key():
    service = named("InferenceService", "mdr")
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    check_kserve(service, "V1beta1InferenceService", "service")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda predictor: predictor.update(minReplica=2), "has no key minReplica"),
        (lambda predictor: predictor.update(minReplicas="two"), "minReplicas is 'two', which is no int"),
        (lambda predictor: predictor["model"].pop("modelFormat"), "model_format"),
        (lambda predictor: predictor["model"].update(readinessProbe={"http": {}}), "has no key http"),
    ],
)
def test_what_kserve_does_not_know_is_found(change, words):
    service = named("InferenceService", "mdr")
    change(service["spec"]["predictor"])
    with pytest.raises(ValueError, match=words):
        check_kserve(service, "V1beta1InferenceService", "service")


def test_they_fit_one_another_and_the_defaults_of_a_compiled_pipeline():
    settings = KubeflowSettings()
    [(claim, mount)] = settings.volumes.items()
    assert named("PersistentVolumeClaim", claim)["spec"]["accessModes"] == ["ReadWriteMany"]
    pod = named("Deployment")["spec"]["template"]
    [container] = pod["spec"]["containers"]
    [served] = [place for place in container["volumeMounts"] if place["name"] == "mdr"]
    assert served["readOnly"]
    assert served["mountPath"] == mount
    assert f"--model_base_path={settings.serving}" in container["args"]
    assert container["image"] == InfraValidation().image
    storage = named("InferenceService", "mdr")["spec"]["predictor"]["model"]["storageUri"]
    assert storage == settings.serving.replace(mount, f"pvc://{claim}")

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for port in named("Service")["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    assert named("Service")["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert named("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "mdr-serving"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        [check] = [container[probe][kind] for kind in ("httpGet", "tcpSocket") if kind in container[probe]]
        assert check["port"] in ports
    for part in ("requests", "limits"):
        assert {"cpu", "memory"} <= set(container["resources"][part])
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
