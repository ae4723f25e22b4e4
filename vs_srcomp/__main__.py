"""``python -m vs_srcomp``."""

from vs_srcomp.cli import main

if __name__ == "__main__":
    main(prog_name="vs-srcomp")
