"""The package's metadata and what it needs, each in the range that its tests run on."""

from pathlib import Path

from setuptools import find_packages, setup

SQL = [
    "duckdb>=2.0.1,<2.1",  # its wheel has the JSON reader; Delta comes to it as Arrow
    "fsspec>=2026.9,<2027",  # through which it reads landing files, on S3 too
]

setup(
    name="stedi_assets",
    version="0.1.0",
    description="The STEDI human-balance lakehouse as Dagster assets, on Spark and Delta",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["stedi_assets", "stedi_assets.*"]),
    install_requires=[
        "dagster>=1.13.27,<1.14",
        "dagster-webserver>=1.13.27,<1.14",
        "dagster-aws>=0.29.27,<0.30",
        "dagster-pyspark>=0.29.27,<0.30",
        "pyspark[connect]>=4.1.1,<4.3",  # Sail 0.7 does not serve clients of 4.3
        "pysail>=0.7.2,<0.8",
        "deltalake>=1.6.6,<2",
        "pyarrow>=21,<27",
        "pandas>=2.2,<3",  # PySpark 4.2 warns on 3
        "rich>=14",
    ],
    extras_require={
        "sql": SQL,
        "dev": [
            *SQL,
            "hypothesis>=6.130",
            "mypy>=1.15",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "ruff>=0.11",
            "sqlglot>=30.30,<31",  # parses Athena's dialect
            "setuptools>=68",  # builds the editable install
            "uv>=0.7",  # resolves requirements.lock
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
    ],
)
