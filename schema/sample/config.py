"""The config that a sample comes with, ready for `mdr run`."""

from schema.sample.truth import Truth

CONFIG = """\
# {domains} domains over {days} days, generated; the true click probabilities are in truth.parquet.
name: sample
data:
  path: logs
log:
  domain: channel
  label: {{column: clicked}}
  time: {{column: timestamp, unit: s}}
  user: user_id
  item: item_id
  features:
    user_id: {{min_count: 2}}
    item_id: {{min_count: 2}}
    segment: {{}}
    category: {{}}
    tags: {{kind: sequence, max_length: 4}}
    price: {{kind: numeric}}
    device: {{group: context}}
    hour: {{group: context}}
split:
  by: time
evaluation:
  crossings: [new_user, item_popularity, device]
"""


def config_text(model: Truth) -> str:
    """Return the YAML of a config for the logs of a model."""
    return CONFIG.format(domains=model.domains, days=model.days)
