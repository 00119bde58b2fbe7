"""The templates that pages and tables are made from."""

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(package: str, filters: dict[str, Callable] | None = None, html: bool = True) -> Environment:
    """Return the templates of a package, in which a name that there is not is an error.

    Args:
        package: its folder `templates` holds them. filters: of the templates, beside jinja's own.
        html: whether values are escaped.
    """
    made = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= filters or {}
    return made
