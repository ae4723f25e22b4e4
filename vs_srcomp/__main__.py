"""``python -m vs_srcomp``."""

from vs_srcomp.cli import run

if __name__ == "__main__":
    run()
