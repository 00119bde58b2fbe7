"""Makes mdr installable (`pip install -e . --no-deps`) and packs it for remote Beam workers.

The dependencies are those of requirements.lock and are deliberately not repeated here: see pyproject.toml.
"""

from setuptools import find_packages, setup

ROOMS = ["schema", "models", "components", "pipeline", "kubeflow"]

setup(
    name="mdr",
    version="0.1.0",
    description="A production pipeline for multi-domain recommendation on TFX, Beam and Keras 3",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")]),
    package_data={
        "pipeline": [
            "configs/*.yaml",
            "report/templates/*.j2",
            "bench/suites/*.yaml",
            "bench/templates/*.j2",
            "serve/templates/*.j2",
        ],
        "schema": ["curated/*.pbtxt"],
    },
    entry_points={"console_scripts": ["mdr=pipeline.cli:main"]},
)
