"""Trained networks by name."""

from pathlib import Path

from train.exported import exported_network, installed_file
from train.networks.network import Network
from train.recipe import Recipe, load_recipe
from train.run import Origin, Run, checkpoint_step, read_weights

RECIPES = Path(__file__).parent / "recipes"


def network_of(recipe: Recipe, runs: Path) -> Network:
    """The network of ``recipe``; ValueError if no run of it was finished, or it is another recipe's."""
    run = Run(runs / recipe.name)
    path = run.weights
    if not path.exists():
        raise ValueError(f"{recipe.name} is not trained yet: there is no {path}; train it with `python -m train fit`")
    if run.checkpoint.exists():
        checkpoint_step(run.checkpoint, Origin(recipe.digest))
    network = recipe.make_network()
    try:
        network.load_state_dict(read_weights(path, recipe.name, recipe.digest_of_weights))
    except RuntimeError as reason:
        raise ValueError(f"{path} has another form than the recipe {recipe.name}") from reason
    return network.eval()


def installed_network(name: str) -> Network:
    """This project's network ``name`` as the package has it, whatever form its recipe has now."""
    return exported_network(installed_file(name)).eval()


def recipe_by_name(name: str) -> Recipe:
    """The recipe of the run ``name``; ValueError if there is no such recipe."""
    for path in sorted(RECIPES.rglob("*.toml")):
        recipe = load_recipe(path)
        if recipe.name == name:
            return recipe
    raise ValueError(f"no recipe in {RECIPES} has that name; copy the recipe of the run there")
