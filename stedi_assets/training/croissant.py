"""A published version as Croissant 1.1 metadata, by which other tools find and read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stedi_assets.tables import Column
from stedi_assets.tables.columns import ColumnType
from stedi_assets.training.manifest import Manifest

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
# The terms of the specification's context that are called as they are in Croissant's vocabulary.
TERMS = """
    arrayShape citeAs column containedIn equivalentProperty extract field fileProperty
    fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path
    recordSet references regex repeated replace samplingRate separator source subField
    transform
"""
CONTEXT = {
    **{term: f"cr:{term}" for term in TERMS.split()},
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "sc": "https://schema.org/",
}
PARQUET = "application/x-parquet"
# mlcroissant reads the columns of files in a folder only where that is said to be a repository.
FOLDER = "git+https"
TYPES = {
    ColumnType.STRING: "sc:Text",
    ColumnType.BIGINT: "cr:Int64",
    ColumnType.INT: "cr:Int32",
    ColumnType.DOUBLE: "cr:Float64",
    ColumnType.TIMESTAMP: "sc:DateTime",
}


def render(manifest: Manifest, columns: Sequence[Column]) -> str:
    """The JSON-LD of a version, to be kept beside its manifest.

    Addresses in it are relative to it, so that a copy of the table's folder can be read as well.

    Args:
        manifest: The version's manifest.
        columns: The columns of training_set, as declared.
    """
    published = datetime.fromtimestamp(manifest.published_at / 1000, UTC)
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "stedi_training_set",
        "description": (
            "Distances that Step Trainers measured beside the accelerations of their owners' "
            "phones in the same millisecond, of people who consented to research, split by person. "
            "card.md beside this file describes the version."
        ),
        "version": f"{manifest.version}.0.0",
        "datePublished": published.isoformat(),
        "license": "None is given: personal data, for the use that card.md names.",
        "citeAs": f"STEDI training set, version {manifest.version}, SHA-256 {manifest.digest}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "table",
                "name": "table",
                "description": "The folder of the table; the digest is that of all its files'.",
                "contentUrl": "../..",
                "encodingFormat": FOLDER,
                "sha256": manifest.digest,
            },
            {
                "@type": "cr:FileSet",
                "@id": "files",
                "name": "files",
                "description": "The data files of this version.",
                "containedIn": {"@id": "table"},
                "encodingFormat": PARQUET,
                "includes": [file.name for file in manifest.files],
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "description": "A device's reading beside one of its owner's phone.",
                "field": [_field(column) for column in columns],
            }
        ],
        "rai:personalSensitiveInformation": (
            "Readings of people who consented to research; no names or addresses."
        ),
        "rai:dataReleaseMaintenancePlan": (
            "A version is deleted when someone in it withdraws; its manifest says so from then on."
        ),
    }
    return json.dumps(described, indent=2)


def _field(column: Column) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column.name}",
        "name": column.name,
        "description": column.description,
        "dataType": TYPES[column.type],
        "source": {"fileSet": {"@id": "files"}, "extract": {"column": column.name}},
    }
