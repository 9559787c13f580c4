"""Two files name what the project needs, pyproject.toml for pip and environment.yml for conda."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CONDA = {"matplotlib-base": "matplotlib", "pytorch": "torch", "python-duckdb": "duckdb"}


def required(lines: list[str]) -> dict[str, str]:
    """The range of each package, by its name on the package index."""
    found = [Requirement(line) for line in lines]
    assert len({one.name for one in found}) == len(found)
    return {one.name.lower().replace("_", "-"): str(one.specifier) for one in found}


def test_conda_gets_the_same_ranges_as_pip():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    named = [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]
    pip = required(list(dict.fromkeys(named)))
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (own,) = (one["pip"] for one in listed if isinstance(one, dict))
    assert own.pop() == "-e ."
    conda = required([*(one.replace(" ", "", 1) for one in listed if isinstance(one, str)), *own])
    conda = {CONDA.get(name, name): range_ for name, range_ in conda.items()}
    assert conda.pop("python") == str(
        Requirement(f"python{project['project']['requires-python']}").specifier
    )
    (build,) = project["build-system"]["requires"]
    assert conda.pop("setuptools") == str(Requirement(build).specifier)
    del conda["pip"]
    assert conda == pip
