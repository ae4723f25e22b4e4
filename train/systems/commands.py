"""Commands of ``python -m train`` about the parts that recipes name and the systems of the papers."""

from pathlib import Path

import click


@click.command(name="list")
@click.argument("kind", type=click.Choice(["networks", "degradations", "objectives", "metrics"]))
def list_command(kind: str) -> None:
    """Print the parts of one KIND that recipes can name: parameters, cost, paper."""
    from train.listing import list_parts

    for line in list_parts(kind):
        click.echo(line)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def vgg_weights(out: Path) -> None:
    """Write the weights of VGG16 to OUT, for the perceptual objective, from the package stlpips-pytorch."""
    from train.objectives.vgg import write_vgg_weights

    try:
        write_vgg_weights(out)
    except (ValueError, OSError) as reason:
        raise click.ClickException(str(reason)) from reason
    click.echo(out)


COMMANDS = (list_command, vgg_weights)
