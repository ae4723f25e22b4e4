"""The command line of ``python -m train``."""

import sys
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import click

from train.commands import COMMANDS
from train.errors import DivergedError, EncoderError
from vs_srcomp.cli.reports import drops_output_nobody_reads


class _Training(click.Group):
    """A group of commands that need the packages of the extra ``train``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] in ("train", "vs_srcomp"):
                raise
            raise click.ClickException(
                f"training needs {missing.name}, which is not installed: pip install '.[train]'"
            ) from missing
        except (ValueError, EncoderError, DivergedError) as wrong:  # a ValueError is about material or arguments
            raise click.ClickException(str(wrong)) from wrong
        except BrokenProcessPool as reason:
            raise click.ClickException(
                "a worker process was killed, as happens when memory runs out: free memory, and run the command again; "
                "what is finished is kept"
            ) from reason
        except OSError as reason:
            if isinstance(reason, BrokenPipeError) and drops_output_nobody_reads():
                ctx.exit(1)
            if reason.errno is None:
                raise
            place = f"{reason.filename}: " if reason.filename else ""
            raise click.ClickException(f"{place}{reason.strerror}{self._paths(ctx)}") from reason
        except Exception as wrong:
            # The package has imported it; nothing else is needed of it here.
            vapoursynth = sys.modules.get("vapoursynth")
            if vapoursynth is None or not isinstance(wrong, vapoursynth.Error):
                raise
            from vs_srcomp.errors import message_of

            raise click.ClickException(message_of(wrong)) from wrong

    def _paths(self, ctx: click.Context) -> str:
        """What to do about a path: the options of the command that take one."""
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        options = [
            option.opts[0]
            for option in (command.params if command else ())
            if isinstance(option, click.Option) and isinstance(option.type, click.Path)
        ]
        return f"; give another path with {' or '.join(options)}" if options else ""


@click.group(cls=_Training, context_settings={"max_content_width": 110})
def main() -> None:
    """Make datasets and models for vs-srcomp, and evaluate them."""


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m train")
