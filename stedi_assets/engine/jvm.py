"""Spark on this machine's JVM, with Delta Lake: what it needs and how it is set."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.loopback import HOST
from stedi_assets.storage.address import S3

JAVA_VERSION = 17

# The Delta release built for each Spark release; the jars come from Maven Central.
DELTA_JARS = {
    "4.1": "io.delta:delta-spark_4.1_2.13:4.2.0",
    "4.2": "io.delta:delta-spark_4.2_2.13:4.4.0",
}
# The releases of hadoop-aws and of AWS's SDK that go with each. All of the SDK, which hadoop-aws
# asks for, is 600 MB; the parts that it uses of it are 18.
HADOOP_AWS = {"4.1": ("3.4.2", "2.29.52"), "4.2": ("3.5.0", "2.35.4")}
SDK_PARTS = ("s3-transfer-manager", "sts")

# PySpark would record for each expression the line of code that made it, which takes longer than to
# make it, and no message of this project shows that line.
NO_CALL_SITES = {"spark.python.sql.dataFrameDebugging.enabled": "false"}


def settings(lakehouse_uri: str = "") -> dict[str, str]:
    """The settings of a JVM Spark on this machine that reads and writes Delta tables.

    Args:
        lakehouse_uri: Where the tables are. On S3 it gets the endpoint and the region of the AWS
            settings; it takes the keys from its environment, and gives them to its workers.
    """
    import pyspark

    release = pyspark.__version__.rpartition(".")[0]
    on_s3 = lakehouse_uri.startswith(S3)
    return {
        "spark.jars.packages": ",".join(
            [DELTA_JARS[release], *(_s3_jars(release) if on_s3 else [])]
        ),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # The defaults, 200 and 50, are a cluster's: each is a task, however small the table.
        "spark.sql.shuffle.partitions": str(os.cpu_count()),
        "spark.databricks.delta.snapshotPartitions": "1",
        # Its processes connect to each other by ports, with a secret that it makes at its start.
        "spark.authenticate": "true",
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        **NO_CALL_SITES,
        **(_s3_settings() if on_s3 else {}),
    }


def _s3_jars(release: str) -> list[str]:
    hadoop, sdk = HADOOP_AWS[release]
    parts = [f"software.amazon.awssdk:{part}:{sdk}" for part in SDK_PARTS]
    return [f"org.apache.hadoop:hadoop-aws:{hadoop}", *parts]


def _s3_settings() -> dict[str, str]:
    from stedi_assets.storage import aws_settings

    found = aws_settings.found()
    return {
        "spark.jars.excludes": "software.amazon.awssdk:bundle",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": found.s3.meta.endpoint_url,
        "spark.hadoop.fs.s3a.endpoint.region": found.region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }


def require_java() -> None:
    """Makes sure that there is a Java that Spark runs on.

    Raises:
        LakehouseError: If there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    printed = ""
    if java and Path(java).exists():
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        printed = answer.stderr
    found = re.search(r'version "(?:1\.)?(\d+)', printed)
    if found is None or int(found[1]) < JAVA_VERSION:
        version = f"Java {found[1]}" if found else "none"
        raise LakehouseError(
            f"A JVM Spark needs Java {JAVA_VERSION} or later, and there is {version}. Install it "
            "(Debian: default-jre-headless) and set JAVA_HOME if it is not on the PATH, or "
            "leave STEDI_SPARK_REMOTE empty for the embedded engine, which needs no Java.",
            Code.ENGINE_SETUP,
        )
