"""A bar chart of a report."""

from pathlib import Path

from vs_srcomp.bench.report import Report
from vs_srcomp.plots import write_plot

# Decoding is many times faster than inference: on the same scale, the other bars would be too short.
_FAST = ("decode", "lanczos5")


def draw_bars(report: Report, target: Path) -> None:
    """Draw ``report`` to ``target``, for which `vs_srcomp.plots.check_plot` has passed."""
    from matplotlib.figure import Figure

    groups = [
        [stage for stage in report.stages if ((stage.limit or stage.name) in _FAST) == is_fast]
        for is_fast in (False, True)
    ]
    groups = [group for group in groups if group]
    heights = [0.5 * len(group) + 0.8 for group in groups]
    figure = Figure(figsize=(9, sum(heights) + 0.7), layout="constrained")
    all_axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, group in zip(all_axes, groups, strict=True):
        titles, rates = [stage.title for stage in group], [stage.fps for stage in group]
        ranges = [[m.frames / m.seconds for m in stage.rounds] for stage in group]
        errors = [
            [rate - min(values) for rate, values in zip(rates, ranges, strict=True)],
            [max(values) - rate for rate, values in zip(rates, ranges, strict=True)],
        ]
        colours = ["0.6" if stage.limit is None else "C1" if stage.kind == "script" else "C0" for stage in group]
        bars = axes.barh(titles, rates, xerr=errors, color=colours, ecolor="0.3", capsize=3)
        labels = [f"{stage.fps:.1f}" + (f" ({stage.share:.0%})" if stage.share is not None else "") for stage in group]
        axes.bar_label(bars, labels, padding=6)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.25 * max(max(values) for values in ranges))
        for limit in {stage.limit for stage in group if stage.limit}:
            axes.axvline(report.stage(limit).fps, color="C3", linestyle="--", linewidth=1)
    all_axes[-1].set_xlabel("frames a second, median of all rounds; the dashed line is the limit")
    clip, settings = report.clip, report.settings
    figure.suptitle(
        f"{clip['width']}x{clip['height']} to {settings['width']}x{settings['height']}, {clip['bits']} bit, "
        f"{settings['model']} at Q {settings['q']:.0f}\n"
        f"{report.machine['processor']}, {report.machine['cores']} cores",
        fontsize="medium",
    )
    write_plot(figure, target, overwrite=True)
