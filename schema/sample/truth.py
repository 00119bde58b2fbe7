"""The model that the sample's clicks are drawn from: interest, conformity, domain taste, context and drift.

    logit p = bias[d] + interest(u, i) + conformity(u, i, d) + taste(i, d) + context(d) + drift(i, day)

- interest: a user likes an item equally in every domain; users form segments, items form categories.
- conformity: users click what is popular, each user and each domain to its own degree.
- taste: a domain favours some categories and prices; domains come in groups with a taste in common.
- context: device and hour, different in each domain, zero on average.
- drift: categories come into and go out of fashion over the days.
"""

from functools import cached_property

import numpy as np
from pydantic import Field

from schema.base import Settings

LATENT, SEGMENTS, CATEGORIES, TAGS, DOMAIN_GROUPS, DEVICES = 8, 12, 40, 60, 5, 3
# How far each part moves the logit, as a standard deviation over random rows.
INTEREST, CONFORMITY, TASTE, PRICE, BIAS, CONTEXT, DRIFT = 0.95, 0.6, 0.5, 0.15, 0.4, 0.25, 0.3
MEAN_LOGIT = -1.3


class Truth(Settings):
    """The true click probability of any user, item and domain, a function of these five numbers alone.

    Users, items, domains, days, devices and hours are numbered from 0.

    Attributes:
        users, items, domains, days: how many there are.
        seed: of everything.
    """

    users: int = Field(ge=1)
    items: int = Field(ge=1)
    domains: int = Field(ge=1)
    days: int = Field(ge=1)
    seed: int = Field(0, ge=0)

    def probability(self, users, items, domains, *, days=None, devices=None, hours=None) -> np.ndarray:
        """Return the true click probability.

        Args:
            users, items, domains: numbers, of shapes that broadcast to `(rows,)` or any common shape.
            days: 0 for the first day; None for the last.
            devices, hours: None for the average over both.

        Returns:
            Float64 of the common shape.
        """
        parts = self._parts
        days = self.days - 1 if days is None else days
        categories = parts["category"][items]
        logit = self.interest(users, items)
        logit = (
            logit
            + parts["user_conformity"][users]
            * parts["domain_conformity"][domains]
            * parts["popularity"][items]
        )
        logit += parts["bias"][domains] + parts["taste"][domains, categories]
        logit += parts["price_taste"][domains] * parts["price"][items]
        logit += parts["drift"][days, categories]
        if devices is not None:
            logit = logit + parts["device"][domains, devices]
        if hours is not None:
            logit = logit + parts["hour"][domains, hours]
        return 1 / (1 + np.exp(-logit))

    def interest(self, users, items) -> np.ndarray:
        """Return the genuine interest: the part of the logit that is the same in every domain, every day."""
        likes, traits = self._parts["likes"], self._parts["traits"]
        return INTEREST * np.sqrt(LATENT) * np.einsum("...k,...k->...", likes[users], traits[items])

    def part(self, name: str) -> np.ndarray:
        """Return one of the model's arrays, such as the `category`, `price` or `exposure` of each item."""
        return self._parts[name]

    @cached_property
    def _parts(self) -> dict[str, np.ndarray]:
        random = np.random.default_rng([self.seed, 0])
        normal = random.standard_normal
        segment = random.integers(SEGMENTS, size=self.users)
        category = random.integers(CATEGORIES, size=self.items)
        likes = _unit(
            0.8 * _unit(normal((SEGMENTS, LATENT)))[segment] + 0.6 * _unit(normal((self.users, LATENT)))
        )
        traits = _unit(
            0.8 * _unit(normal((CATEGORIES, LATENT)))[category] + 0.6 * _unit(normal((self.items, LATENT)))
        )
        exposure = (1.0 + random.permutation(self.items)) ** -0.8
        popularity = _standard(np.log(exposure), weights=exposure)
        group = random.integers(DOMAIN_GROUPS, size=self.domains)
        taste = 0.8 * normal((DOMAIN_GROUPS, CATEGORIES))[group] + 0.6 * normal((self.domains, CATEGORIES))
        device = normal((self.domains, DEVICES))
        peak = random.uniform(0, 24, (self.domains, 1))
        steps = normal((self.days, CATEGORIES))
        return {
            "segment": segment,
            "category": category,
            "likes": likes,
            "traits": traits,
            "exposure": exposure,
            "popularity": popularity,
            "activity": random.gamma(2.0, size=self.users),
            "user_conformity": random.gamma(4.0, CONFORMITY / 4.0, self.users),
            "domain_conformity": random.uniform(0.3, 1.7, self.domains),
            "group": group,
            "taste": TASTE * taste,
            "price": normal(self.items),
            "price_taste": PRICE * normal(self.domains),
            "bias": MEAN_LOGIT + BIAS * normal(self.domains),
            "device": CONTEXT * (device - device.mean(axis=1, keepdims=True)),
            "hour": CONTEXT * np.cos((np.arange(24) - peak) * (2 * np.pi / 24)),
            "drift": DRIFT * np.cumsum(steps, axis=0) / np.sqrt(self.days),
            "tags": _tags(traits, random),
        }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _standard(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shift and scale to mean 0 and variance 1 over rows that are drawn with these weights."""
    values = values - np.average(values, weights=weights)
    return values / max(np.sqrt(np.average(values**2, weights=weights)), 1e-9)


def _tags(traits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return whether an item has a tag, `(items, TAGS)`: one to four tags that lie close to its traits."""
    fit = 6.0 * traits @ _unit(random.standard_normal((TAGS, LATENT))).T + random.gumbel(
        size=(len(traits), TAGS)
    )
    rank = np.argsort(np.argsort(-fit, axis=1), axis=1)
    return rank < random.integers(1, 5, size=(len(traits), 1))
