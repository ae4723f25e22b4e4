"""Which options of the running command the user gave."""

import click
from click.core import ParameterSource


def is_given(name: str) -> bool:
    """Whether the option with the parameter ``name`` was given, rather than left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
