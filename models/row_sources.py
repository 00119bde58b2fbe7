"""Which row of earlier weights each row of new ones goes on from: by value, not by index."""

from dataclasses import dataclass

import numpy as np

from models.features import FeatureSpec, InputField

FRESH = -1  # no earlier row: as a fresh model makes it


@dataclass(frozen=True)
class Meaning:
    """What the indices of a model's inputs stand for.

    Attributes:
        spec: the inputs. vocabularies: by categorical field or sequence, its values in index order.
        scales: by numeric feature of the log; one in buckets is a categorical field of `spec`.
    """

    spec: FeatureSpec
    vocabularies: dict[str, list[bytes]]
    scales: dict[str, str]

    @property
    def features(self) -> list[str]:
        """Name, kind, scale and group of every feature, as the log has them."""
        return [f"{field.name} ({self._kind(field)}, {field.group})" for field in self.spec.fields]

    def _kind(self, field: InputField) -> str:
        return f"numeric {self.scales[field.name]}" if field.name in self.scales else field.kind


@dataclass(frozen=True)
class RowSources:
    """For every new index the earlier one, or `FRESH`.

    Attributes:
        before, now: what the indices of both stand for.
        fields: by categorical field or sequence, `(size,)`.
        domains: `(n_domains + 1,)`, the unknown domain last.
    """

    before: Meaning
    now: Meaning
    fields: dict[str, np.ndarray]
    domains: np.ndarray

    def starts(self, from_unknown: bool) -> np.ndarray:
        """Return `domains`, where a new domain goes on from the unknown one if that was trained."""
        n_before = self.before.spec.n_domains
        return np.where(self.domains == FRESH, n_before, self.domains) if from_unknown else self.domains

    def figures(self) -> dict:
        """Return the names of domains, and the number of each field's values, that are kept, new and gone."""
        before, now = self.before.spec.domains, self.now.spec.domains
        values = {}
        for name, words in self.now.vocabularies.items():
            kept = len(set(words) & set(self.before.vocabularies[name]))
            gone = len(self.before.vocabularies[name]) - kept
            values[name] = {"kept": kept, "new": len(words) - kept, "gone": gone}
        return {
            "domains_kept": len(set(before) & set(now)),
            "domains_new": [name for name in now if name not in set(before)],
            "domains_gone": [name for name in before if name not in set(now)],
            "values": values,
        }


def row_sources(before: Meaning, now: Meaning) -> RowSources:
    """Match the indices of two models with the same fields (see `RowSources`)."""
    earlier = {field.name: field for field in before.spec.fields}
    fields = {
        field.name: _of_field(earlier[field.name], field, before.vocabularies, now.vocabularies)
        for field in now.spec.fields
        if field.kind != "numeric"
    }
    domains = np.append(_places(now.spec.domains, before.spec.domains), before.spec.n_domains)
    return RowSources(before, now, fields, domains)


def _of_field(before: InputField, now: InputField, old_words: dict, new_words: dict) -> np.ndarray:
    if now.name not in new_words:
        return _of_buckets(before.size - 1, now.size - 1)
    old, new = old_words[now.name], new_words[now.name]
    padding = int(now.kind == "sequence")
    buckets = now.size - padding - len(new)
    # A value's OOV bucket is its hash modulo their number: another number shuffles them.
    same = buckets == before.size - padding - len(old)
    oov = len(old) + np.arange(buckets) if same else np.full(buckets, FRESH)
    index = np.concatenate([_places(new, old), oov])
    return np.concatenate([np.zeros(padding, int), np.where(index == FRESH, FRESH, index + padding)])


def _of_buckets(before: int, now: int) -> np.ndarray:
    """Match quantile buckets by the share of the values below them; the last index means missing."""
    middle = (np.arange(now) + 0.5) / now
    return np.append((middle * before).astype(int), before)


def _places(values, among) -> np.ndarray:
    """Return where each value stands among others, `(values,)`."""
    place = {value: i for i, value in enumerate(among)}
    return np.array([place.get(value, FRESH) for value in values], int)
