"""The inputs of a model: one field per feature, and the domain."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from schema.base import Settings
from schema.log_schema import Group, LogSchema

if TYPE_CHECKING:
    import tensorflow_transform as tft


class InputField(Settings):
    """One input after Transform.

    Attributes:
        name: the column's name.
        kind: `categorical` is an index `(batch,)`, `sequence` indices `(batch, length)` with 0 for padding,
            `numeric` a float `(batch,)`.
        size: number of indices, the OOV buckets and the padding included; 0 for `numeric`.
        length: of a sequence; 0 otherwise.
        group: the feature group.
    """

    name: str
    kind: Literal["categorical", "sequence", "numeric"]
    size: int = Field(0, ge=0)
    length: int = Field(0, ge=0)
    group: Group = "general"


class FeatureSpec(Settings):
    """All inputs of a model.

    Attributes:
        fields: the features, in the order of the log schema.
        domain: name of the domain input, an index `(batch,)` in `[0, n_domains]`.
        domains: the training split's domains in index order; the index `n_domains` stands for any other.
        vocabularies: hash of what the indices of all fields stand for; empty where no Transform gave them.
    """

    fields: tuple[InputField, ...]
    domain: str
    domains: tuple[str, ...]
    vocabularies: str = ""

    @property
    def n_domains(self) -> int:
        """Number of known domains, which is also the index of the unknown domain."""
        return len(self.domains)

    @property
    def fingerprint(self) -> str:
        """Hash of the spec: two models with the same one mean the same by an index, 16 hexadecimal digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @classmethod
    def from_transform(cls, log: LogSchema, transform: tft.TFTransformOutput) -> FeatureSpec:
        """Read the sizes and vocabularies that Transform found.

        Args:
            log: the log's schema.
            transform: output of the Transform component.
        """
        fields, vocabularies = [], hashlib.sha256()
        for name, feature in log.features.items():
            if feature.kind == "numeric":
                buckets = feature.scale == "buckets"
                kind, size, length = "categorical" if buckets else "numeric", 0, 0
                if buckets:
                    size = feature.buckets + 1  # the last index says that the value is missing
            else:
                kind, length = feature.kind, getattr(feature, "max_length", 0)
                padding = int(feature.kind == "sequence")
                size = transform.vocabulary_size_by_name(name) + feature.oov_buckets + padding
                vocabularies.update(b"\n".join([name.encode(), *transform.vocabulary_by_name(name), b""]))
            fields.append(InputField(name=name, kind=kind, size=size, length=length, group=feature.group))
        domains = tuple(value.decode() for value in transform.vocabulary_by_name(log.domain))
        return cls(
            fields=tuple(fields), domain=log.domain, domains=domains, vocabularies=vocabularies.hexdigest()
        )
