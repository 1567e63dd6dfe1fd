"""Checks what a wheel holds: `python .ci/check_wheel.py WHEEL`."""

import sys
import zipfile

WANTED = (  # one of each kind: if it is there, its kind is
    "polysemy/__init__.py",
    "polysemy/cli/__init__.py",
    "polysemy/layers/scalar_mix.py",
    "polysemy/zoo/preset.py",
    "polysemy/recipes/experiments/__init__.py",
    "polysemy/recipes/samples/train.conll",
    "polysemy/serving/export.py",
)
FOLDERS = {"layers", "zoo", "recipes", "serving", "cli"}


def faults(names: list[str]) -> list[str]:
    """Lists what is missing from a wheel and what does not belong into it."""
    found = [f"missing: {name}" for name in WANTED if name not in names]
    for name in names:
        top, _, rest = name.partition("/")
        if top == "polysemy":
            known = "/" in rest and rest.split("/")[0] in FOLDERS
            if not known and rest != "__init__.py":
                found.append(f"does not belong: {name}")
        elif not top.endswith(".dist-info"):
            found.append(f"does not belong: {name}")
        if "__pycache__" in name:
            found.append(f"does not belong: {name}")
    return found


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        wrong = faults(wheel.namelist())
        size = sum(entry.compress_size for entry in wheel.infolist())
        print(f"{len(wheel.namelist())} files, {size / 1e6:.1f} MB")
    sys.exit("\n".join(wrong) or None)
