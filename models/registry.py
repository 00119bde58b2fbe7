"""Finds architectures, plug-ins and learning methods: one file each, its name being the name in a config."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from models.settings import LearningSettings, ModelSettings
from schema.base import Settings
from schema.suggest import nearest

Room = Literal["architectures", "plugins", "learning"]
WORDS = {"architectures": "architecture", "plugins": "plug-in", "learning": "learning method"}
_entries: dict[tuple[str, str], "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """One registered class.

    Attributes:
        name: name in a config, that of the file.
        cls: the class; its nested `Settings` holds its own settings.
        kind: family, such as `multi-task`.
        paper: where it comes from: paper, section, equations.
        backends: Keras backends that it runs on.
    """

    name: str
    cls: type
    kind: str
    paper: str
    backends: tuple[str, ...]


def register(
    kind: str, paper: str, backends: tuple[str, ...] = ("tensorflow", "jax")
) -> Callable[[type], type]:
    """Register the decorated class under the name of its file.

    Args:
        kind: family of the class, for the table of `mdr models`.
        paper: paper, section and equations that it builds.
        backends: Keras backends that it runs on.
    """

    def add(cls: type) -> type:
        room, name = cls.__module__.rsplit(".", 2)[-2:]
        _entries[room, name] = Entry(name, cls, kind, paper, backends)
        return cls

    return add


def names(room: Room) -> list[str]:
    """Return the names that a config may use, without importing the modules behind them."""
    files = (Path(__file__).parent / room).glob("*.py")
    return sorted(file.stem for file in files if file.stem not in ("__init__", "base"))


def find(room: Room, name: str) -> Entry:
    """Return what is registered under a name.

    Raises:
        ValueError: unknown name; says which there are and the nearest one.
    """
    known = names(room)
    if name not in known:
        there = ", ".join(known) or "none"
        raise ValueError(f"{name!r} is no {WORDS[room]}; there are: {there}.{nearest(name, known)}")
    importlib.import_module(f"models.{room}.{name}")
    return _entries[room, name]


def entries(room: Room) -> list[Entry]:
    """Return everything registered in a room, by name."""
    return [find(room, name) for name in names(room)]


def architectures_where(fits: Callable[[type], bool]) -> str:
    """Return the names of the architectures whose class fits, as a message lists them."""
    return ", ".join(entry.name for entry in entries("architectures") if fits(entry.cls))


def own_settings(entry: Entry, values: dict[str, Any]) -> Settings:
    """Check the settings that belong to one registered class.

    Raises:
        ValueError: names each wrong key or value, and the keys that are allowed.
    """
    try:
        return entry.cls.Settings.model_validate(values)
    except ValidationError as error:
        allowed = ", ".join(entry.cls.Settings.model_fields) or "none"
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ValueError(f"settings of {entry.name}: {'; '.join(faults)}. Allowed: {allowed}.") from None


def plugins_of(architecture: type, model: ModelSettings) -> list[Entry]:
    """Return the plug-ins that a model has: those built into its architecture, and those of the config."""
    return [find("plugins", name) for name in dict.fromkeys((*architecture.built_in, *model.plugins))]


def check(model: ModelSettings, learning: LearningSettings, has_classifier: bool) -> None:
    """Check every name and setting of a model and its training.

    Args:
        model, learning: the settings. has_classifier: whether a domain classifier is trained before.

    Raises:
        ValueError: the first fault found.
    """
    architecture = find("architectures", model.architecture)
    own_settings(architecture, model.settings)
    for name, values in model.plugin_settings.items():
        own_settings(find("plugins", name), values)
    for entry in plugins_of(architecture.cls, model):
        entry.cls.check_classifier(has_classifier)
        own = own_settings(entry, model.plugin_settings.get(entry.name, {}))
        entry.cls.check_architecture(model.architecture, own)
    own_settings(find("learning", learning.method), learning.settings)
    check_method(learning.method, model)


def check_method(method: str, model: ModelSettings) -> None:
    """Check that a learning method can train a model.

    Raises:
        ValueError: unknown method or architecture, or they do not fit; says why.
    """
    cls, architecture = find("learning", method).cls, find("architectures", model.architecture)
    cls.check_architecture(architecture.name, architecture.cls)
    cls.check_model(model)
