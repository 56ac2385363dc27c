"""The lower ends of the ranges in pyproject.toml as pip constraints, for `make oldest`.

PyTorch and torchvision keep the releases in constraints.txt: older ones for Linux download gigabytes of CUDA.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("torch", "torchvision")


def lowest(project: dict[str, object]) -> dict[str, str]:
    """{name: version} of every `name>=version`."""
    optional = project["optional-dependencies"]
    assert isinstance(optional, dict)
    groups = [project["dependencies"], *optional.values()]
    ranges = (re.fullmatch(r"([\w.-]+)>=([\w.]+)", one) for group in groups for one in group)
    return {found[1]: found[2] for found in ranges if found and found[1] not in LEFT_OUT}


if __name__ == "__main__":
    with (ROOT / "pyproject.toml").open("rb") as file:
        for name, version in lowest(tomllib.load(file)["project"]).items():
            print(f"{name}=={version}")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(tuple(f"{name}==" for name in LEFT_OUT)):
            print(line)
