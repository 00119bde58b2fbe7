"""The page to try a model: pick a domain and a user, see the best items."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pipeline.serve.served_model import ServedModel

SHOWN_USERS = 200  # to pick from; any other can be typed


def write_page(model: ServedModel, name: str) -> str:
    """Return the page of the version that serves.

    Args:
        model: that version. name: of the model in requests.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.serve", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    users = model.lookup.users[:SHOWN_USERS] if model.lookup else []
    return environment.get_template("page.html.j2").render(
        name=name, number=model.number, domains=model.domains, users=users, can_rank=model.lookup is not None
    )
