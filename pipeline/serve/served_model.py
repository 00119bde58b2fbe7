"""One version of a model, loaded and warmed up, ready to answer."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.model_pusher.push import LOOKUP, warm_up_requests
from components.serving_lookup.files import OWNERS
from models.export import DESCRIPTION
from pipeline.recommend import Lookup
from pipeline.serve.batcher import Batcher, Inputs, Outputs, Queue
from pipeline.serve.columns import Column, Values
from pipeline.serve.errors import InvalidRequest, NotServed
from pipeline.serve.packing import Packed
from schema.log_schema import LogSchema
from schema.suggest import nearest

COLUMNS, DEFAULT = "columns", "serving_default"


class LoadError(RuntimeError):
    """A version that cannot be served."""


@dataclass(frozen=True)
class Batching:
    """How requests are merged.

    Attributes:
        queue: what may wait. max_rows: of a merged batch. turns: batches at the same time. ran: told of each.
    """

    queue: Queue
    max_rows: int
    turns: int
    ran: Callable[[int], None] = lambda rows: None


class Signature:
    """One function of a SavedModel, by name, behind a batcher.

    Args:
        name: of the signature. function: it. log: the log's schema. batching: how requests are merged.

    Attributes:
        columns: the inputs by name. outputs: names. max_rows: of one request.
    """

    def __init__(self, name: str, function, log: LogSchema, batching: Batching):
        self.name, self.max_rows = name, batching.queue.max_rows
        specs = sorted(function.structured_input_signature[1].items())
        self.columns = {column: self._column(spec, log) for column, spec in specs}
        self.outputs = tuple(sorted(function.structured_outputs))
        self._packed = Packed(function, self.columns)
        batcher = Batcher(self.call, batching.queue, batching.max_rows, batching.turns, batching.ran)
        self._batcher = batcher

    def call(self, inputs: Inputs) -> Outputs:
        """Run the function itself, without the batcher."""
        try:
            return self._packed(inputs)
        except tf.errors.InvalidArgumentError as error:  # such as a tf.Example with a column of another type
            said = error.message.partition("\n\t [[")[0].splitlines()[-1]  # without the graph's own names
            raise InvalidRequest(said) from None

    def read(self, given: Mapping[str, Any], convert: Callable[[Column, Any], Values]) -> Inputs:
        """Return the inputs of a request in the form that `run` takes.

        Args:
            given: by input, as the client sent it. convert: makes the values of a column of it.

        Raises:
            InvalidRequest: an unknown input, too many rows, or a value of another type than the signature's.
        """
        self.check_names(given)
        return {name: convert(self.columns[name], values) for name, values in given.items()}

    def check_names(self, given: Iterable[str]) -> None:
        """Refuse names that are none of an input.

        Raises:
            InvalidRequest: names the first of them.
        """
        unknown = [name for name in given if name not in self.columns]
        if unknown:
            hint = "" if self.name == COLUMNS else f' Named columns need "signature_name": "{COLUMNS}".'
            raise InvalidRequest(
                f"signature {self.name!r} has no input {unknown[0]!r}; it has: {', '.join(self.columns)}."
                + (nearest(unknown[0], self.columns) or hint)
            )

    def run(self, given: Inputs) -> Outputs:
        """Answer one request.

        Args:
            given: by input, the values of all rows (see pipeline/serve/columns.py); what is left out takes
                the training default.

        Raises:
            ServeError: a missing input, inputs of different length, no rows, a full queue.
        """
        lacking = [name for name, column in self.columns.items() if column.required and name not in given]
        if lacking:
            raise InvalidRequest(f"signature {self.name!r} needs the input {lacking[0]!r}.")
        lengths = {name: len(values) // (self.columns[name].width or 1) for name, values in given.items()}
        rows = next(iter(lengths.values()), 0)
        if not rows:
            raise InvalidRequest("the request has no rows.")
        for name, length in lengths.items():
            if length != rows:
                raise InvalidRequest(f"input {name!r} has {length} rows, {next(iter(given))!r} has {rows}.")
        whole = {
            name: given[name] if name in given else column.missing(rows)
            for name, column in self.columns.items()
        }
        return self._batcher.run(whole, rows)

    def _column(self, spec: tf.TensorSpec, log: LogSchema) -> Column:
        width = log.features[spec.name].max_length if spec.shape.rank == 2 else None
        is_number, required = spec.dtype == tf.float32, self.name != COLUMNS
        return Column(spec.name, is_number, width, required, self.max_rows)


class ServedModel:
    """A version whose warm-up requests were all answered.

    Args:
        folder: the SavedModel, named by its number. batching: how requests are merged.

    Attributes:
        number: of the version. log: the log's schema. domains: that it was trained on. signatures: by name.
        definitions: the SignatureDefs. lookup: tables to rank with; None where none were pushed.

    Raises:
        LoadError: it does not load, or a warm-up request has no finite answer.
    """

    def __init__(self, folder: Path, batching: Batching):
        self.folder, self.number = folder, int(folder.name)
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            self.log = LogSchema.model_validate(description["log"])
            self.domains = description.get("spec", {}).get("domains", [])
            graphs = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            self.definitions = {
                name: definition
                for name, definition in graphs.meta_graphs[0].signature_def.items()
                if not name.startswith("__")
            }
            self._loaded = tf.saved_model.load(str(folder))  # its functions live as long as it does
            self.signatures = {
                name: Signature(name, function, self.log, batching)
                for name, function in self._loaded.signatures.items()
            }
            has_tables = (folder / LOOKUP / OWNERS).is_file()
            self.lookup = Lookup(folder, self.log) if has_tables else None
            self._warm_up()
        except LoadError:
            raise
        except Exception as error:
            raise LoadError(f"{folder}: {type(error).__name__}: {error}") from error

    def _warm_up(self) -> None:
        requests = warm_up_requests(self.folder)
        if not requests:
            raise LoadError(f"{self.folder} has no warm-up requests to try it with.")
        for signature, inputs in requests:
            for name, output in self._loaded.signatures[signature](**inputs).items():
                if output.dtype != tf.string and not np.all(np.isfinite(output)):
                    raise LoadError(
                        f"{self.folder}: {signature} answers {name} with a value that is not finite."
                    )

    def signature(self, name: str) -> Signature:
        """Return a signature by its name; "" is the default one.

        Raises:
            NotServed: there is none.
        """
        name = name or DEFAULT
        if name not in self.signatures:
            raise NotServed(
                f"Serving signature key {name!r} not found; there are: {', '.join(sorted(self.signatures))}."
                + nearest(name, self.signatures)
            )
        return self.signatures[name]
