"""Map the models in engines/ into the package, so that a wheel carries them; all else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vs_srcomp", "vs_srcomp.*"]), "vs_srcomp.engines"],
    package_dir={"vs_srcomp.engines": "engines"},
    package_data={
        "vs_srcomp": ["py.typed"],
        "vs_srcomp.compare": ["page/*"],
        "vs_srcomp.mpv": ["*.vpy", "*.lua"],
        "vs_srcomp.engines": ["*.onnx", "models.json", "models.schema.json", "README.md"],
    },
)
