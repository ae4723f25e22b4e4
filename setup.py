"""Map the models in engines/ into the package, so that a wheel carries them; all else is in pyproject.toml."""

import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildAfresh(build_py):
    """setuptools keeps build/lib, and would pack what an earlier release left there."""

    def run(self) -> None:
        """Copy the package's files into an empty folder."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(
    cmdclass={"build_py": BuildAfresh},
    packages=[*find_packages(include=["vs_srcomp", "vs_srcomp.*"]), "vs_srcomp.engines"],
    package_dir={"vs_srcomp.engines": "engines"},
    package_data={
        "vs_srcomp": ["py.typed"],
        "vs_srcomp.compare": ["page/*"],
        "vs_srcomp.mpv": ["*.vpy", "*.lua"],
        "vs_srcomp.engines": ["*.onnx", "models.json", "models.schema.json", "README.md"],
    },
)
