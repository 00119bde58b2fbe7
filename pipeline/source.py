"""Fingerprints of the code behind a component.

TFX's cache compares inputs and parameters, not the code behind a dotted name such as `models.trainer.run_fn`.
Each component therefore carries the hash of the files that it runs, so that a change there runs it again.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

from pipeline.config import Config

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (".py", ".pbtxt")


@cache
def code_version(*places: str) -> str:
    """Return a hash of the source files below some folders of the project.

    Args:
        *places: folders relative to the project, such as `models` or `components/transform`; `schema` is
            always included, since every component reads it.

    Returns:
        16 hexadecimal digits; the same on every machine for the same text.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    digest = hashlib.sha256()
    for place in sorted({"schema", *places}):
        folder = ROOT / place
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder of the project.")
        for file in sorted(folder.rglob("*")):
            if file.suffix in SOURCES:
                digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
                digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def config_key(config: Config) -> str:
    """Return a hash of the code and of the part of a config that a model is made from, its data left out."""
    parts = {"split", "log", "augmentation", "classifier", "model", "learning"}
    made_of = [config.model_dump(mode="json", include=parts), code_version("models", "components")]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
