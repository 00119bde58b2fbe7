"""Reads from the ML Metadata store what a run did and what it made."""

import json
from pathlib import Path

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

RUNNING = mlmd.Execution.RUNNING
STATES = {
    mlmd.Execution.RUNNING: "running",
    mlmd.Execution.COMPLETE: "complete",
    mlmd.Execution.CACHED: "cached",
    mlmd.Execution.FAILED: "failed",
    mlmd.Execution.CANCELED: "failed",
}


def open_store(path: Path) -> MetadataStore:
    """Open the SQLite metadata store of a run folder."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return MetadataStore(config)


def node_runs(store: MetadataStore, run_id: str) -> dict[str, dict]:
    """Return what each component of one pipeline run did.

    Args:
        store: the metadata store.
        run_id: the pipeline run's id, the name of its context.

    Returns:
        By component: `state`, `seconds`, `rows` (None where no artifact counts them), `parameters` and
        `outputs` (by output key: `uri`, `type`, `properties`).
    """
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return {}
    executions = store.get_executions_by_context(context.id)
    types = {kind.id: kind.name for kind in store.get_execution_types()}
    artifact_types = {kind.id: kind.name for kind in store.get_artifact_types()}
    runs = {}
    for execution in sorted(executions, key=lambda execution: execution.id):
        inputs, outputs = {}, {}
        events = store.get_events_by_execution_ids([execution.id])
        artifacts = {a.id: a for a in store.get_artifacts_by_id([event.artifact_id for event in events])}
        for event in events:
            side = outputs if event.type in (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT) else inputs
            key = next((step.key for step in event.path.steps if step.HasField("key")), "")
            artifact = artifacts[event.artifact_id]
            side[key] = {
                "uri": artifact.uri,
                "type": artifact_types[artifact.type_id],
                "properties": {name: _plain(value) for name, value in artifact.custom_properties.items()},
            }
        millis = execution.last_update_time_since_epoch - execution.create_time_since_epoch
        runs[_node_id(types[execution.type_id])] = {
            "state": STATES.get(execution.last_known_state, "unknown"),
            "seconds": round(millis / 1000, 1),
            "rows": _rows(outputs, inputs),
            "outputs": outputs,
        }
    return runs


def last_run_id(store: MetadataStore) -> str | None:
    """Return the id of the newest pipeline run in the store, None before the first."""
    contexts = store.get_contexts_by_type("pipeline_run")
    return max(contexts, key=lambda context: context.id).name if contexts else None


def earlier_output(store: MetadataStore, component: str, key: str, uri: str) -> str | None:
    """Return the place of the newest artifact that a component made before the one at `uri`; None without."""
    made: dict[str, int] = {}
    for kind in store.get_execution_types():
        if _node_id(kind.name) != component:
            continue
        executions = store.get_executions_by_type(kind.name)
        complete = [e.id for e in executions if e.last_known_state == mlmd.Execution.COMPLETE]
        events = store.get_events_by_execution_ids(complete) if complete else []
        outputs = [
            e.artifact_id for e in events if e.type == mlmd.Event.OUTPUT and e.path.steps[0].key == key
        ]
        made |= {artifact.uri: artifact.id for artifact in store.get_artifacts_by_id(outputs)}
    before = [place for place, number in made.items() if number < made.get(uri, 0)]
    return max(before, key=made.get) if before else None


def set_property(store: MetadataStore, uri: str, name: str, text: str) -> None:
    """Write a custom property onto the artifacts at a place."""
    artifacts = store.get_artifacts_by_uri(uri)
    for artifact in artifacts:
        artifact.custom_properties[name].string_value = text
    store.put_artifacts(artifacts)


def close_killed_executions(store: MetadataStore) -> int:
    """Mark executions that a killed run left open as failed, so that they do not look alive.

    Only the holder of the run folder's lock may call this.

    Returns:
        How many there were.
    """
    killed = [e for e in store.get_executions() if e.last_known_state == RUNNING]
    for execution in killed:
        execution.last_known_state = mlmd.Execution.FAILED
    if killed:
        store.put_executions(killed)
    return len(killed)


def _node_id(type_name: str) -> str:
    """Return `Trainer` for a type such as `tfx.components.trainer.component.Trainer`."""
    return type_name.rsplit(".", 1)[-1]


def _rows(*sides: dict) -> int | None:
    for side in sides:
        counts = [artifact["properties"].get("rows") for artifact in side.values()]
        counts = [int(count) for count in counts if isinstance(count, int | float)]
        if counts:
            return max(counts)
    return None


def _plain(value: mlmd.Value):
    kind = value.WhichOneof("value")
    if kind == "struct_value":
        return json.dumps(str(value.struct_value))
    return getattr(value, kind) if kind else None
