"""BeamDagRunner that says when a component starts, ends or fails."""

from apache_beam.options.pipeline_options import StandardOptions
from tfx.orchestration import metadata
from tfx.orchestration.beam import beam_dag_runner

from pipeline.lineage import node_runs
from pipeline.memory import PeakMemory
from schema import progress


class ReportingNode(beam_dag_runner.PipelineNodeAsDoFn):
    """One component of the graph, its state reported as it changes."""

    def _run_node(self) -> None:
        progress.report(self._node_id, state="running")
        try:
            with PeakMemory() as memory:
                super()._run_node()
        except Exception as error:
            progress.report(self._node_id, state="failed", error=innermost_message(error))
            raise
        run_id = self._pipeline_runtime_spec.pipeline_run_id.field_value.string_value
        with metadata.Metadata(self._mlmd_connection_config) as handle:
            done = node_runs(handle.store, run_id).get(self._node_id, {})
        state = done.get("state")
        if state not in ("complete", "cached"):  # TFX publishes an unresolved input without raising
            progress.report(self._node_id, state="failed", error="its inputs could not be resolved.")
            raise RuntimeError(f"{self._node_id} did not run: its inputs could not be resolved.")
        progress.report(self._node_id, state=state, rows=done["rows"], peak_mib=round(memory.mib))


class ReportingBeamDagRunner(beam_dag_runner.BeamDagRunner):
    """BeamDagRunner whose components report their state and whose own Beam pipeline downloads nothing."""

    _PIPELINE_NODE_DO_FN_CLS = ReportingNode

    def run_with_ir(self, pipeline, run_options=None) -> None:
        """Run the compiled pipeline.

        The runner that goes through the graph builds its own `beam.Pipeline()` without options, so Beam's
        default, which first tries to download another runner, can only be changed where Beam keeps it.
        """
        default = StandardOptions.DEFAULT_RUNNER
        StandardOptions.DEFAULT_RUNNER = "FnApiRunner"
        try:
            super().run_with_ir(pipeline, run_options)
        finally:
            StandardOptions.DEFAULT_RUNNER = default


def innermost_message(error: BaseException) -> str:
    """Return the message that a person needs of an error that Beam or TFX wrapped.

    Beam re-raises as RuntimeError with the traceback in the text; its last part names the cause.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip() or type(error).__name__
    text = text.split(" [while running '", 1)[0]
    marker = "\nTraceback (most recent call last):"
    if text.startswith(marker.strip()):
        text = text.rsplit("\n", 1)[-1]
    return text
