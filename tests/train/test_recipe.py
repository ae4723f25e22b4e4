"""Recipes: what they make, their order, and what is wrong in one."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from tests.train.examples import TINY, changed
from train.earlier_runs import STARTS
from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack
from train.recipe import in_order, load_recipe
from vs_srcomp.models import LOOKS, TIERS

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "train" / "recipes"
# `make models` merges those of one level each, whose recipes are in the history.
MERGED = {f"srcomp-{tier}-{ratio}-levels" for tier in ("fast", "quality") for ratio in ("8by5", "4by3")}
AV1 = '{ name = "av1", ratio = "8:5" }'
COMPLETE = """
name = "srcomp-test"
network = { name = "plain", stride = 2, channels = 8, layers = 3 }
degradation = { name = "av1", ratio = "8:5" }
steps = 1
batch = 1
"""
MIXTURE = '{{ name = "mixture", parts = [{{ name = "jpeg" }}, {{ name = "webp", {} }}] }}'
ADVERSARIAL = 'objective = {{ name = "sum", terms = [{{ name = "l1" }}, {{ name = "adversarial"{} }}] }}'
SUM = 'objective = {{ name = "sum", terms = [{{ name = "l1", weight = {} }}] }}'


@pytest.mark.parametrize(
    "path", sorted([*RECIPES.glob("*.toml"), *RECIPES.glob("trials/*.toml")]), ids=lambda path: path.stem
)
def test_recipes_can_be_read_and_are_named_for_what_they_make(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == f"srcomp-{path.stem}"
    assert isinstance(recipe.make_network(), PlainStack | InterpolatedStack)
    assert recipe.ratio is not None
    if not recipe.is_draft:
        assert recipe.tier in TIERS
        assert recipe.look in LOOKS
        crisp = "" if recipe.look == "faithful" else f"-{recipe.look}"
        assert recipe.name == f"srcomp-{recipe.tier}-{recipe.ratio.slug}{crisp}"


def test_every_start_teacher_and_blend_has_a_recipe_or_is_merged() -> None:
    recipes = [load_recipe(path) for path in RECIPES.rglob("*.toml")]
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    named = {name for recipe in recipes for name in (recipe.start, recipe.teacher, recipe.blend) if name}
    assert named <= {recipe.name for recipe in recipes} | MERGED


def test_make_models_makes_all_that_its_recipes_start_or_learn_from() -> None:
    asked = ["make", "--silent", "--eval=recipes: ; @echo $(RECIPES) $(DRAFTS)", "recipes"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    recipes = [load_recipe(ROOT / path) for path in listed]
    made = {recipe.name for recipe in recipes} | {path.stem for path in STARTS.glob("*.safetensors")}
    named = {name for recipe in recipes for name in (recipe.start, recipe.teacher, recipe.blend) if name}
    assert named <= made | MERGED
    assert named >= MERGED


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(COMPLETE)
    recipe = load_recipe(path)
    assert (recipe.scales, recipe.crop, recipe.optimizer, recipe.look) == ((1,), 96, "muon", "faithful")
    assert recipe.ratio is not None
    assert recipe.ratio.name == "8:5"
    assert not recipe.is_draft
    assert dataclasses.replace(recipe, name="srcomp-test-draft1").is_draft


def test_the_digest_is_of_everything_that_decides_what_is_learned() -> None:
    assert changed(TINY.name).digest == TINY.digest
    others = [
        changed(TINY.name, seed=2),
        changed(TINY.name, teacher_share=0.25),
        changed(TINY.name, network={**TINY.network, "slope": 0.1}),
        changed(TINY.name, degradation={"name": "av1", "ratio": "4:3"}),
    ]
    assert len({TINY.digest, *(other.digest for other in others)}) == 5
    # The weights that are blended in at the end decide nothing before.
    blended = changed(TINY.name, blend="other", blend_share=0.25)
    assert blended.digest == TINY.digest
    assert blended.digest_of_weights != TINY.digest_of_weights


def test_two_recipes_of_one_name_are_not_one() -> None:
    with pytest.raises(ValueError, match=r"a\.toml and b\.toml have the same name, tiny: rename one"):
        in_order([(Path("a.toml"), TINY), (Path("b.toml"), changed(TINY.name, steps=7))])
    assert in_order([(Path("a.toml"), TINY), (Path("a.toml"), TINY)]) == [(Path("a.toml"), TINY)]


def test_recipes_come_after_those_that_they_start_or_learn_from() -> None:
    path = Path("recipe.toml")
    pupil = changed("pupil", teacher=TINY.name, start="elsewhere")
    last = changed("last", blend=pupil.name)
    assert [recipe for _, recipe in in_order((path, recipe) for recipe in (last, pupil, TINY))] == [TINY, pupil, last]
    with pytest.raises(ValueError, match="wait for each other"):
        in_order((path, recipe) for recipe in (pupil, changed(TINY.name, start=pupil.name)))


def with_network(name: str, **parameters: int) -> str:
    """``COMPLETE`` with another network."""
    entries = "".join(f", {key} = {value}" for key, value in parameters.items())
    return COMPLETE.replace('name = "plain", stride = 2, channels = 8, layers = 3', f'name = "{name}"{entries}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tier = ", r"recipe\.toml: Invalid value"),
        ('tier = "fast"', "batch, degradation, name, network, steps is missing"),
        (COMPLETE + "speed = 1", r"there is no key speed .*keys are"),
        (COMPLETE.replace("8:5", "3:1"), "no ratio is called '3:1'"),
        (COMPLETE.replace(', ratio = "8:5"', ""), "the degradation av1 needs a ratio"),
        (COMPLETE.replace('name = "plain", ', ""), "network is a table with a name"),
        (COMPLETE.replace('"plain"', '"plane"'), "there is no network 'plane'"),
        (COMPLETE.replace("channels", "chanels"), "chanels"),
        (COMPLETE.replace('{ name = "plain", stride = 2, channels = 8, layers = 3 }', '{ name = "espcn" }'), "scale"),
        (COMPLETE.replace('"8:5"', '"8:5", lowest = 40'), "av1 of a recipe has no lowest"),
        (COMPLETE.replace(AV1, '{ name = "bicubic", ratio = 2, sigma = 1 }'), "bicubic has no parameter sigma"),
        (
            COMPLETE.replace(AV1, '{ name = "blur-decimate", ratio = 2, sigma = 99 }'),
            "sigma is a number from 0.1 to 10",
        ),
        (COMPLETE.replace(AV1, '{ name = "jpeg", lowest = nan }'), "lowest is a whole number, not nan"),
        (
            COMPLETE.replace('name = "plain", stride = 2, channels = 8, layers = 3', 'name = "espcn", channels = 0'),
            "of 1",
        ),
        (COMPLETE + "scales = [1, 0.5]", "scales and copies are for other degradations"),
        (COMPLETE + "copies = 2", "scales and copies are for other degradations"),
        (COMPLETE + "crop = 97", "not a multiple of stride 2"),
        (COMPLETE + "crop = 100", "and of 8"),
        (COMPLETE + "teacher_share = 2", "teacher_share is a number from 0 to 1, not 2"),
        (COMPLETE + "blend_share = true", "blend_share is a number from 0 to 1, not True"),
        (COMPLETE + 'optimizer = "sgd"', "optimizer is one of adam, muon, not 'sgd'"),
        (COMPLETE + "scales = [1, 2]", r"above 0, and 1 at most, not \[1, 2\]"),
        (COMPLETE + "scales = []", "above 0, and 1 at most"),
        (COMPLETE + "scales = 0.5", r"scales is a list of numbers .*, not 0\.5"),
        (COMPLETE.replace("steps = 1", "steps = -1"), "steps is a whole number of 0 or more, not -1"),
        (COMPLETE.replace("steps = 1", "steps = 1.5"), r"steps is a whole number of 0 or more, not 1\.5"),
        (COMPLETE.replace("steps = 1", 'steps = "many"'), "steps is a whole number of 0 or more, not 'many'"),
        (COMPLETE.replace("batch = 1", "batch = 0"), "batch is a whole number of 1 or more, not 0"),
        (COMPLETE.replace("batch = 1", 'batch = "4"'), "batch is a whole number of 1 or more, not '4'"),
        (COMPLETE.replace("batch = 1", "batch = true"), "batch is a whole number of 1 or more, not True"),
        (COMPLETE + "crop = 0", "crop is a whole number of 1 or more, not 0"),
        (COMPLETE + "copies = 0", "copies is a whole number of 1 or more, not 0"),
        (COMPLETE + "warmup = -1", "warmup is a whole number of 0 or more, not -1"),
        (COMPLETE + 'learning_rate = "fast"', "learning_rate is a number above 0, not 'fast'"),
        (COMPLETE + "learning_rate = inf", "learning_rate is a number above 0, not inf"),
        (COMPLETE + "valid_share = 0", "valid_share is a number between 0 and 1, without them, not 0"),
        (COMPLETE + "valid_share = 2", "valid_share is a number between 0 and 1, without them, not 2"),
        (COMPLETE + 'clips = "yes"', "clips is true or false, not 'yes'"),
        (COMPLETE + 'tier = "best"', "tier is one of quality, fast, light, not 'best'"),
        (COMPLETE + 'look = "nice"', "look is one of faithful, crisp, not 'nice'"),
        (COMPLETE.replace("srcomp-test", "../evil"), r"name is a name of letters .*, not '\.\./evil'"),
        (COMPLETE.replace("srcomp-test", ".."), "name is a name of letters"),
        (COMPLETE.replace("srcomp-test", ""), "name is a name of letters"),
        (COMPLETE + 'start = "a/b"', "start is a name of letters"),
        (COMPLETE.replace("channels = 8", 'channels = "8"'), "network plain: channels is a whole number, not '8'"),
        (
            COMPLETE + 'objective = { name = "l1", strength = 2 }',
            "objective l1 has no parameter strength; it has weighted",
        ),
        (
            COMPLETE + 'objective = { name = "l1", weighted = "no" }',
            "objective l1: weighted is true or false, not 'no'",
        ),
        (COMPLETE + 'objective = { name = "sum" }', "objective sum needs terms"),
        (
            COMPLETE + 'objective = { name = "sum", terms = [{ name = "l2" }] }',
            "a term of the sum: there is no objective",
        ),
        (COMPLETE + SUM.format("[0.0, 1.0]"), r"the term l1: weight is a number, or a schedule.*, not \[0\.0, 1\.0\]"),
        (COMPLETE + SUM.format('"heavy"'), "the term l1: weight is a number, .*, not 'heavy'"),
        (COMPLETE + SUM.format("-1"), "the term l1: a weight is 0 or more, not -1"),
        (COMPLETE + SUM.format("0"), "all weights of the sum are 0 at 0 of the steps"),
        (COMPLETE + SUM.format("[[0.0, 1.0], [0.5, 0.0]]"), r"all weights of the sum are 0 at 0\.5 of the steps"),
        (re.sub("steps = .*", "steps = 0", COMPLETE), "0 steps: a recipe has some, or a start"),
        (COMPLETE + "seed = 4294967296", "seed is a whole number from 0 to 4294967295"),
        (COMPLETE + f"learning_rate = 1{'0' * 400}", "learning_rate is a number above 0"),
        (COMPLETE + "teacher_spares_black = true", "teacher_spares_black needs a teacher"),
        (COMPLETE.replace("stride = 2", "stride = 0"), "stride is a whole number of 1 or more, not 0"),
        (COMPLETE.replace("layers = 3", "layers = 1"), "layers is a whole number of 2 or more, not 1"),
        (COMPLETE.replace("channels = 8", "channels = 0"), "channels is a whole number of 1 or more, not 0"),
        (
            COMPLETE.replace('"plain", stride = 2, channels = 8, layers = 3', '"vdsr", width = -1'),
            "network vdsr cannot be",
        ),
        (COMPLETE.replace("layers = 3", "layers = 3, slope = nan"), "network plain: slope is a number, not nan"),
        (COMPLETE + 'objective = { name = "faithful", l1_share = 2 }', "l1_share is a number from 0 to 1, not 2"),
        (COMPLETE + 'objective = { name = "faithful", l1_share = nan }', "l1_share is a number, not nan"),
        (COMPLETE.replace("stride = 2", "stride = 3"), "stride 3 does not divide 8, .*: set the network's stride to 1"),
        (
            COMPLETE.replace(AV1, '{ name = "jpeg", ratio = 1 }').replace("stride = 2", "stride = 4") + "crop = 90",
            "crop 90 is not a multiple of the stride 4",
        ),
        (with_network("vdsr", channels=3), "a network of 3 channels does not fit av1, which gives luma: set its chan"),
        (
            with_network("espcn", scale=2).replace(AV1, '{ name = "jpeg", ratio = [2, 3], enlarged = true }'),
            "a network of scale 2 does not fit pictures made 2 times smaller and enlarged again, as those of jpeg",
        ),
        (
            with_network("espcn", scale=2).replace(AV1, MIXTURE.format("enlarged = true")),
            "a network of scale 2 does not fit pictures made 2 times smaller and enlarged again, as those of webp",
        ),
        (
            with_network("vdsr").replace(AV1, MIXTURE.format("enlarged = true")),
            "a network of scale 1 does not fit pictures made 2 times smaller and not enlarged, as those of jpeg",
        ),
        (
            with_network("espcn", scale=2, channels=3).replace(AV1, '{ name = "bicubic" }') + ADVERSARIAL.format(""),
            "adversarial has channels = 1, but the network gives 3: set channels = 3 in the objective",
        ),
        (COMPLETE + ADVERSARIAL.format(", channels = 3"), "adversarial has channels = 3, but the network gives 1"),
        (
            COMPLETE + 'objective = { name = "adversarial", channels = 3 }',
            "adversarial has channels = 3, but the network gives 1",
        ),
        (
            with_network("espcn", scale=2).replace(AV1, '{ name = "bicubic" }') + 'material = { name = "patches" }',
            "the material patches is degraded already: it needs the degradation av1 with its ratio",
        ),
        (
            COMPLETE + 'start = "srcomp-test"',
            "start is the recipe itself, srcomp-test: .* another name",
        ),
        (
            COMPLETE + 'objective = { name = "adversarial", width = 0 }',
            "width of a discriminator is a whole",
        ),
        (COMPLETE + ADVERSARIAL.format(", width = -4"), "a term of the sum: width of a discriminator"),
        (COMPLETE + 'objective = { name = "l1", stages = -1.0 }', r"stages is a number of 0 or more, not -1\.0"),
        (COMPLETE + 'objective = { name = "charbonnier", epsilon = 0.0 }', "epsilon is a number above 0"),
        (COMPLETE + 'objective = { name = "flat", limit = 0.0 }', "limit is a number above 0"),
        (COMPLETE + 'crop = 32\nobjective = { name = "ssim", scales = 3 }', "ssim needs crops of 44 and more, not 32"),
        (
            with_network("espcn", scale=2).replace(AV1, '{ name = "unknown", noise = -1.0 }'),
            r"noise is a number of 0 or more, not -1\.0",
        ),
        (
            with_network("espcn", scale=2).replace(AV1, MIXTURE.format("lowest = 200")),
            "a part of the mixture, with the keys that all share: qualities go from 0 to 100",
        ),
        (
            with_network("espcn", scale=2).replace(AV1, MIXTURE.format("foo = 1")),
            "a part of the mixture, .*: degradation webp has no parameter foo",
        ),
    ],
)
def test_a_wrong_recipe_states_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)


@pytest.mark.parametrize(
    "text",
    [
        with_network("espcn", scale=2).replace(AV1, MIXTURE.format("lowest = 20")),
        with_network("vdsr").replace(AV1, '{ name = "jpeg", ratio = [2, 3], enlarged = true }'),
        with_network("espcn", scale=2, channels=3).replace(AV1, '{ name = "bicubic" }')
        + ADVERSARIAL.format(", channels = 3"),
        COMPLETE + 'material = { name = "patches" }',
    ],
)
def test_recipes_like_the_wrong_ones_are_right(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    load_recipe(path)


def test_a_recipe_that_is_not_there_is_an_error_of_one_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml"):
        load_recipe(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_not_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"recipe\.toml is not a recipe: not a text file"):
        load_recipe(path)


def test_the_keys_are_listed_only_where_one_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(COMPLETE + "crop = 0")
    with pytest.raises(ValueError, match=r"not 0$"):
        load_recipe(path)
