"""The page to try a model: pick a domain and a user, see the best items."""

from pipeline.pages import environment
from pipeline.serve.served_model import ServedModel

SHOWN_USERS = 200  # to pick from; any other can be typed
TEMPLATE = environment("pipeline.serve").get_template("page.html.j2")


def write_page(model: ServedModel, name: str) -> str:
    """Return the page of the version that serves.

    Args:
        model: that version. name: of the model in requests.
    """
    users = model.lookup.users[:SHOWN_USERS] if model.lookup else []
    return TEMPLATE.render(
        name=name, number=model.number, domains=model.domains, users=users, can_rank=model.lookup is not None
    )
