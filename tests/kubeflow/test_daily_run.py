"""The daily job starts a run for yesterday, with KFP's own client."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from kubeflow.compile import compile_pipeline
from pipeline.config import load

JOB = Path(__file__).parents[2] / "kubeflow" / "manifests" / "daily-run.yaml"
CREATED = {"created_at": "2026-02-01T03:30:00Z"}
ANSWERS = {
    "healthz": {},
    "experiments": {"experiment_id": "e", "display_name": "mdr-daily", "experiments": []},
    "runs": {"run_id": "r", "experiment_id": "e", "display_name": "run", "state": "PENDING", **CREATED},
}


@pytest.fixture
def endpoint():
    """A port that answers as the API of Kubeflow Pipelines does, and what was posted to it."""
    posted = {}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            named = self.path.split("?")[0].split("/")[3]
            body = json.dumps(ANSWERS[named]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            size = int(self.headers["Content-Length"])
            posted[self.path.split("?")[0].split("/")[3]] = json.loads(self.rfile.read(size))
            self.do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()


def test_it_starts_a_run_for_yesterday(endpoint, tmp_path):
    address, posted = endpoint
    pod = yaml.safe_load(JOB.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    compile_pipeline(load("ciao", ["data.path=/mnt/mdr/logs/{DATE}.csv"]), tmp_path / "pipeline.yaml")
    environment = {
        "KFP_ENDPOINT": address,
        "HOME": str(tmp_path),
        "PIPELINE": str(tmp_path / "pipeline.yaml"),
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = [*container["command"], *container["args"]]
    before = datetime.now(UTC)
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    days = {(moment - timedelta(days=1)).date().isoformat() for moment in (before, datetime.now(UTC))}
    assert posted["experiments"]["display_name"] == "mdr-daily"
    started = posted["runs"]
    assert set(started["runtime_config"]["parameters"]) == {"span"}
    assert started["runtime_config"]["parameters"]["span"] in days
    assert "log-example-gen" in started["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert "kubernetes" in started["pipeline_spec"]["platform_spec"]["platforms"]
