"""Stops the run on the anomalies that matter; TFX's ExampleValidator alone never stops one."""
