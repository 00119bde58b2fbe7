"""A suite: the data, the protocol and the published figures that models are compared on."""

import os
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.config import BUILT_IN, Config, load
from pipeline.config_errors import ConfigError
from schema.base import Settings
from schema.explain import explain
from schema.suggest import nearest

SUITES = Path(__file__).parent / "suites"
EVERY_DOMAIN = ("evaluation.min_rows=2", "evaluation.min_each_class=1")  # papers judge small domains, too
DATA = "MDR_DATA"  # environment variable: the folder that holds the raw public sets


class SampleSettings(Settings):
    """Generated data; see `schema.sample.generate`."""

    rows: int = Field(ge=1000)
    domains: int = Field(25, ge=2)
    seed: int = 0
    shares: tuple[float, ...] | None = None


class Published(Settings):
    """Figures of a paper, shown beside ours.

    Attributes:
        source: paper, table and how its protocol differs.
        figures: by model as a cell names it, then by figure (`auc`, `mean_domain_auc`, ...) or domain.
    """

    source: str
    figures: dict[str, dict[str, float]]


class Suite(Settings):
    """One benchmark.

    Attributes:
        about: data and protocol in one sentence.
        config: name of a built-in config. sample: instead, generated data.
        set: keys of the config that differ here, as in `mdr run --set`.
        settings: by architecture: its own settings here, so that all get the same budget.
        learning: by learning method: its own settings here.
        variants: learning methods with other settings, under names of their own: `method` and what differs.
        plugin_variants: plug-ins with other settings, likewise: `plugin` and what differs.
        models: compared when the command names none.
        reference: the model that others are tested against. against: for some models, another one instead,
            trained jointly.
        published: figures of papers.
        notes: what was not reproduced and why, shown below the tables.
    """

    about: str
    config: str | None = None
    sample: SampleSettings | None = None
    set: tuple[str, ...] = ()
    settings: dict[str, dict] = Field(default_factory=dict)
    learning: dict[str, dict] = Field(default_factory=dict)
    variants: dict[str, dict] = Field(default_factory=dict)
    plugin_variants: dict[str, dict] = Field(default_factory=dict)
    models: tuple[str, ...] = ("shared_bottom", "mmoe")
    reference: str = "shared_bottom"
    against: dict[str, str] = Field(default_factory=lambda: {"aread": "mmoe", "ssctl": "cgc"})
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_data(self):
        if (self.config is None) == (self.sample is None):
            raise ValueError("a suite has either a config or a sample.")
        for variants, of in ((self.variants, "method"), (self.plugin_variants, "plugin")):
            for name, values in variants.items():
                if of not in values:
                    raise ValueError(f"variant {name!r} names no {of}.")
        return self


def suite_names() -> list[str]:
    """Return the names of all suites."""
    return sorted(file.stem for file in SUITES.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read a suite.

    Raises:
        ConfigError: there is none of this name, or its file is wrong.
    """
    file = SUITES / f"{name}.yaml"
    if name not in suite_names():
        there = ", ".join(suite_names())
        raise ConfigError(f"{name!r} is no suite; there are: {there}.{nearest(name, suite_names())}")
    try:
        return Suite.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ConfigError(explain(error, Suite, source=str(file))) from None


def suite_config(suite: Suite, data: Path | None, work: Path, overrides: list[str]) -> Config:
    """Return the config of a suite's data, with the raw files found or the sample generated.

    Args:
        suite: the suite.
        data: folder of the raw public sets; None looks into the environment variable MDR_DATA.
        work: where a sample is generated.
        overrides: keys of the config set by the command.

    Raises:
        ConfigError: the raw data is not there; says what is looked for.
    """
    changes = [*EVERY_DOMAIN, *suite.set, *overrides]
    if suite.sample:
        return load(_sample(suite.sample, work / "sample"), changes)
    bare = load(suite.config)
    below = Path(bare.data.path).relative_to(BUILT_IN)
    given = data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    if given is None:
        raise ConfigError(
            f"the raw data is not given: name the folder that holds {below} by --data or {DATA}."
        )
    for path in (given / below, given / below.name, given):
        if path.exists() and (path != given or given.name == below.name):
            return load(suite.config, [f"data.path={path}", *changes])
    raise ConfigError(f"{given} holds no {below}.")


def _sample(sample: SampleSettings, folder: Path) -> Path:
    from schema.sample.write import write

    if not (folder / "config.yaml").is_file():
        shares = list(sample.shares) if sample.shares else None
        write(folder, rows=sample.rows, domains=sample.domains, days=14, seed=sample.seed, shares=shares)
    return folder / "config.yaml"
