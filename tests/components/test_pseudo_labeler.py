"""PseudoLabeler gives the dominant domains' rows the domains that they look like, and keeps all else."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from domain_rows import DOMAINS, LOG, SPLITS, make_rows, transformed
from example_artifacts import artifact, encode
from tensorflow_transform import TFTransformOutput
from tfx.types import artifact_utils, standard_artifacts

from components.pseudo_labeler import label
from components.pseudo_labeler.component import PseudoLabeler
from components.pseudo_labeler.label import LabelRows
from components.pseudo_labeler.settings import CONFIDENCE_BINS, LABELS_FILE
from models import domain_classifier
from models.architectures.base import example_inputs
from models.features import FeatureSpec
from models.feeding import load_columns, load_pseudo
from models.inputs import Inputs
from models.layers.domain_classifier import DomainClassifier
from models.settings import LearningSettings, ModelSettings

RUNNER = "FnApiRunner"


def classifier_of(folder: Path, place: Path, dominant: tuple[int, ...]) -> FeatureSpec:
    """Save a classifier with random weights for the rows in a folder; return their inputs."""
    spec = FeatureSpec.from_transform(LOG, TFTransformOutput(str(folder / "graph")))
    classifier = DomainClassifier(spec, dominant, (8,), 4)
    classifier(example_inputs(spec))
    random = np.random.default_rng(0)
    classifier.set_weights([random.normal(size=weight.shape) for weight in classifier.weights])
    domain_classifier.save(classifier, place, {}, spec.fingerprint)
    return spec


def run(folder: Path, dominant: tuple[int, ...] = (0,), **given):
    """Run the component; return its two artifacts, its inputs' spec and the classifier's folder."""
    inputs = transformed(folder, **given)
    place = folder / "classifier" / "Format-Serving"
    spec = classifier_of(folder, place, dominant)
    return *run_again(folder, inputs), spec, place


def run_again(folder: Path, inputs: dict):
    made = artifact(standard_artifacts.Examples, folder / "labeled")
    labels = artifact(standard_artifacts.ExampleStatistics, folder / "labels")
    PseudoLabeler.test_call(
        **inputs,
        classifier=artifact(standard_artifacts.Model, folder / "classifier"),
        labeled_examples=made,
        labels=labels,
        log=LOG.model_dump_json(),
        beam_pipeline=TestPipeline(runner=RUNNER),
    )
    return made, labels


def files(folder: Path, split: str) -> list[str]:
    return sorted(map(str, (folder / f"Split-{split}").glob("*.gz")))


@pytest.mark.parametrize(("batch", "dominant"), [(label.BATCH, (0,)), (64, (0, 2))])
def test_p_of_the_pass_is_p_of_the_classifier_and_all_else_is_kept(tmp_path, monkeypatch, batch, dominant):
    monkeypatch.setattr(label, "BATCH", batch)
    made, labels, spec, place = run(tmp_path, dominant)
    classes = [domain for domain in range(4) if domain not in dominant]
    pseudo = load_pseudo(files(tmp_path / "labeled", "pseudo"), spec, tmp_path / "p", len(classes)).arrays
    train = load_columns(files(tmp_path / "examples", "train"), spec, tmp_path / "t").arrays
    source = pseudo["mdr_source_domain"]
    p = np.asarray(domain_classifier.load(place, spec).probabilities(pseudo))
    np.testing.assert_allclose(pseudo["mdr_p"], p, rtol=1e-5)
    np.testing.assert_array_equal(pseudo["mdr_confidence"], pseudo["mdr_p"].max(axis=1))
    np.testing.assert_array_equal(pseudo["channel"], np.array(classes)[pseudo["mdr_p"].argmax(axis=1)])
    assert len(np.unique(pseudo["channel"])) > 1 and set(source) == set(dominant)
    names = ("label", "user", "tags", "hour", "price", "owner")

    def as_rows(arrays, domain, chosen):
        columns = [arrays[name][chosen].tolist() for name in names]
        return Counter(map(repr, zip(arrays[domain][chosen].tolist(), *columns, strict=True)))

    everything = np.ones(len(source), bool)
    given = as_rows(train, "channel", np.isin(train["channel"], dominant))
    assert as_rows(pseudo, "mdr_source_domain", everything) == given
    table = pq.read_table(f"{labels.uri}/{LABELS_FILE}").to_pandas()
    counted = table.groupby(["source", "target"])["rows"].sum().to_dict()
    assert counted == Counter(zip(source.tolist(), pseudo["channel"].tolist(), strict=True))
    assert table["confidence"].sum() == pytest.approx(pseudo["mdr_confidence"].sum(), rel=1e-5)
    assert table["bin"].between(0, CONFIDENCE_BINS - 1).all()
    assert labels.get_int_custom_property("rows") == len(source)
    assert artifact_utils.decode_split_names(made.split_names) == [*SPLITS, "pseudo"]


def test_every_split_is_handed_through_the_augmented_one_too(tmp_path):
    rows = {split: make_rows(80, seed) for seed, split in enumerate((*SPLITS, "augmented"))}
    made, _, _, _ = run(tmp_path, rows=rows)
    assert artifact_utils.decode_split_names(made.split_names) == [*rows, "pseudo"]
    for split in rows:
        [given], [handed] = (files(tmp_path / place, split) for place in ("examples", "labeled"))
        assert Path(given).samefile(handed)


def contents(folder: Path) -> dict[str, list[tf.train.Example]]:
    """The rows by file; the order of a row's features in its bytes is protobuf's own."""
    return {
        str(file.relative_to(folder)): [
            tf.train.Example.FromString(record)
            for record in tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator()
        ]
        for file in folder.rglob("*.gz")
    }


def test_a_second_try_in_the_same_folder_ends_as_the_first(tmp_path):
    run(tmp_path)
    first = contents(tmp_path / "labeled")
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples", list(SPLITS))
    graph = artifact(standard_artifacts.TransformGraph, tmp_path / "graph")
    run_again(tmp_path, {"examples": examples, "transform_graph": graph})
    assert contents(tmp_path / "labeled") == first and len(first) == 4


def test_four_workers_write_what_one_writes_and_each_process_loads_the_classifier_once(tmp_path, monkeypatch):
    transformed(tmp_path)
    spec = classifier_of(tmp_path, tmp_path / "c", (0,))
    parts = tmp_path / "parts"
    parts.mkdir()
    for part in range(6):
        with tf.io.TFRecordWriter(str(parts / f"data-{part}.gz"), "GZIP") as writer:
            for row in make_rows(100, part):
                writer.write(encode(row))
    loads, real = [], label.load
    monkeypatch.setattr(label, "load", lambda *given: loads.append(given) or real(*given))
    monkeypatch.setattr(label, "BATCH", 40)
    made = {}
    for workers in (1, 4):
        loads.clear()
        options = PipelineOptions(
            [f"--runner={RUNNER}", f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading"]
        )
        folder = tmp_path / f"made-{workers}"
        with beam.Pipeline(options=options) as pipeline:
            paths = pipeline | beam.Create(sorted(map(str, parts.iterdir())))
            _ = paths | LabelRows(str(tmp_path / "c"), spec, (0,), (1, 2, 3), str(folder))
        made[workers] = contents(folder)
        assert len(loads) == 1
    assert made[1] == made[4] and len(made[1]) == 6 * 3


def test_of_two_domains_all_rows_go_to_the_other_one_with_certainty(tmp_path):
    rows = dict.fromkeys(SPLITS, make_rows(100, shares=(0.7, 0.3)))
    _, _, spec, _ = run(tmp_path, rows=rows, domains=DOMAINS[:2])
    pseudo = load_pseudo(files(tmp_path / "labeled", "pseudo"), spec, tmp_path / "p", 1).arrays
    assert set(pseudo["channel"]) == {1} and set(pseudo["mdr_source_domain"]) == {0}
    np.testing.assert_array_equal(pseudo["mdr_p"], np.ones((len(pseudo["channel"]), 1)))


def test_a_classifier_of_other_vocabularies_is_refused_with_both_fingerprints(tmp_path):
    inputs, other = transformed(tmp_path / "now"), tmp_path / "before"
    transformed(other, users="v")
    before = classifier_of(other, tmp_path / "now" / "classifier" / "Format-Serving", (0,))
    now = FeatureSpec.from_transform(LOG, TFTransformOutput(str(tmp_path / "now" / "graph")))
    with pytest.raises(ValueError) as error:
        run_again(tmp_path / "now", inputs)
    assert before.fingerprint in str(error.value) and now.fingerprint in str(error.value)
    assert not list((tmp_path / "now" / "labeled").iterdir())


def inputs_of(folder: Path, classifier: Path, train_files: list[str]) -> Inputs:
    """What the trainer makes of what TFX hands to it."""
    settings = {"log": LOG, "model": ModelSettings(), "learning": LearningSettings()}
    config = {name: value.model_dump_json() for name, value in settings.items()}
    return Inputs(
        SimpleNamespace(
            custom_config={**config, "checkpoints": str(folder / "checkpoints")},
            transform_graph_path=str(folder / "graph"),
            train_files=train_files,
            eval_files=files(folder / "labeled", "validation"),
            base_model=str(classifier),
            hyperparameters=None,
        )
    )


def test_the_training_gets_the_rows_apart_with_p_and_the_classifier(tmp_path):
    _, _, spec, classifier = run(tmp_path)
    patterns = [f"{tmp_path}/labeled/Split-{split}/*" for split in ("train", "pseudo")]
    given = inputs_of(tmp_path, classifier, patterns)
    assert given.spec == spec and given.classifier == classifier and given.augmented is None
    dominant = given.train.of_domain(0)
    assert given.train.rows == 600 and given.pseudo.rows == len(dominant["label"])
    assert given.pseudo.arrays["mdr_p"].shape == (given.pseudo.rows, 3)
    assert len(given.pseudo.of_domain(0)["label"]) == 0  # sorted by pseudo-domain, none of them dominant
    assert set(given.pseudo.arrays) - set(given.train.arrays) == {
        "mdr_p",
        "mdr_confidence",
        "mdr_source_domain",
    }


@pytest.mark.parametrize("p", [None, [0.5, 0.5]])
def test_rows_of_a_new_span_without_their_p_are_refused_by_the_name_of_the_split(tmp_path, p):
    _, _, _, classifier = run(tmp_path)
    span = tmp_path / "new" / "Split-pseudo" / "data.gz"
    span.parent.mkdir(parents=True)
    labelled = {"mdr_p": p, "mdr_confidence": 0.5, "mdr_source_domain": 0}
    with tf.io.TFRecordWriter(str(span), "GZIP") as writer:
        for row in make_rows(5):
            writer.write(encode({**row, **labelled}))
    train = files(tmp_path / "labeled", "train")
    labelled_before = files(tmp_path / "labeled", "pseudo")
    with pytest.raises(ValueError, match=r"the split 'pseudo' has rows without mdr_p of 3 values.*data\.gz"):
        inputs_of(tmp_path, classifier, [*train, *labelled_before, str(span)])
    assert not list((tmp_path / "checkpoints").rglob("*pseudo*"))
