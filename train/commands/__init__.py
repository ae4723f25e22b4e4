"""The commands of ``python -m train``. What a command needs is imported when it runs."""

from train.commands.measuring import compare_looks, compare_systems, evaluate, evaluate_video, rate
from train.commands.pictures import dataset, draw, frames, inspect, pack
from train.commands.training import curves, export, fit, gains, judge, list_command, merge_levels, ranges, vgg_weights

COMMANDS = (
    dataset,
    inspect,
    draw,
    frames,
    pack,
    list_command,
    vgg_weights,
    fit,
    gains,
    judge,
    export,
    merge_levels,
    ranges,
    curves,
    evaluate,
    compare_looks,
    evaluate_video,
    rate,
    compare_systems,
)
