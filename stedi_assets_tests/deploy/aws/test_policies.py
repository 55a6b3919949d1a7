"""What each role may do, for every table, and the resources that it reaches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stedi_assets.erasure.record import RECORDS
from stedi_assets.landing.erased import ERASED
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, TABLES, records_of
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED, TRAINING_SET
from stedi_assets_tests.deploy.aws.conftest import BY_LAKE_FORMATION, KEY, ROLES, Stack
from stedi_assets_tests.deploy.aws.policy_prover import allowed_request

MANAGED_POLICY_CHARACTERS = 6144  # IAM's limit, white space not counted
VERSION_ACTIONS = ("s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:PutBucketVersioning")
WRITTEN_TABLES = (*QUARANTINE_TABLES, *DELTA_TABLES)


def _queries(role: str, workgroup: str) -> list[tuple[str, str, str]]:
    """What a role needs to query in its workgroup."""
    run = ("StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "GetQueryResults")
    keep = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    return [
        *((role, f"athena:{action}", f"{{workgroup}}-{workgroup}") for action in run),
        *((role, f"s3:{action}", f"{{results}}/{workgroup}/1.csv") for action in keep),
        (role, "s3:GetBucketLocation", "{bucket}"),
    ]


ALLOWED = [
    *(
        ("Ingest", f"s3:{action}", f"{{objects}}/{table.location}/a.json")
        for table in LANDING_TABLES
        for action in ("PutObject", "AbortMultipartUpload")
    ),
    *(
        ("Pipeline", "s3:GetObject", f"{{objects}}/{table.location}/a.json")
        for table in TABLES.values()
    ),
    ("Pipeline", "s3:GetObject", f"{{objects}}/{RECORDS}/1.json"),
    *(
        ("Pipeline", "s3:PutObject", f"{{objects}}/{table.location}/{LEDGER}")
        for table in LANDING_TABLES
    ),
    *(
        ("Pipeline", f"s3:{action}", f"{{objects}}/{table.location}/_delta_log/0.json")
        for table in WRITTEN_TABLES
        for action in ("PutObject", "DeleteObject", "AbortMultipartUpload")
    ),
    *(
        ("Pipeline", f"glue:{action}", f"{{glue}}:{resource}")
        for action in ("GetTable", "GetTableVersions", "CreateTable", "UpdateTable")
        for resource in ("catalog", "database/stedi", *(f"table/stedi/{name}" for name in TABLES))
    ),
    *(
        ("Pipeline", "glue:GetDatabase", f"{{glue}}:{each}")
        for each in ("catalog", "database/stedi")
    ),
    *_queries("Pipeline", "pipeline"),
    *(
        (role, BY_LAKE_FORMATION, f"{{glue}}:table/stedi/{MACHINE_LEARNING_CURATED.name}")
        for role in ("Pipeline", "DataScientist")
    ),
    *(
        ("DataScientist", f"glue:{action}", f"{{glue}}:{resource}")
        for action in ("GetDatabase", "GetTable")
        for resource in ("catalog", "database/stedi", "table/stedi/machine_learning_curated")
    ),
    *_queries("DataScientist", "data-scientist"),
    ("TrainingSet", "s3:GetObject", f"{{objects}}/{TRAINING_SET.location}/a.parquet"),
    ("TrainingSet", "s3:GetObject", f"{{objects}}/{TRAINING_SET.location}/_published/1/card.md"),
]


LEDGERS = (ERASED, LEDGER)
# Besides what the pipeline may, of which erasure's role has the policy too.
ALLOWED += [
    *(
        ("Erasure", f"s3:{action}", f"{{objects}}/{table.location}/{name}")
        for table in LANDING_TABLES
        for action in ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
        for name in ("a.json", *LEDGERS)
    ),
    *(
        ("Erasure", f"s3:{action}", f"{{objects}}/{RECORDS}/1.json")
        for action in ("GetObject", "PutObject", "AbortMultipartUpload")
    ),
    *(
        ("Erasure", "s3:DeleteObjectVersion", f"{{objects}}/{table.location}/a")
        for table in TABLES.values()
    ),
    ("Erasure", "s3:ListBucketVersions", "{bucket}"),
]


@pytest.mark.parametrize(("role", "action", "resource"), ALLOWED)
def test__policy__allows(kms_stack: Stack, role: str, action: str, resource: str):
    assert allowed_request(kms_stack.documents(role), [action], [kms_stack.arn(resource)])


# Within a role's reach. Patterns: no request that they match is allowed, whatever its context.
DENIED = [
    ("Ingest", "s3:Get*", "*"),
    ("Ingest", "s3:Delete*", "*"),
    *(
        ("Ingest", "s3:Put*", f"{{objects}}/{table.location}/{name}")
        for table in LANDING_TABLES
        for name in LEDGERS
    ),
    *(
        ("Pipeline", f"s3:{action}*", f"{{objects}}/{place}")
        for action in ("Put", "Delete", "Abort")
        for place in (
            f"{RECORDS}/*",
            *(f"{each.location}/{name}" for each in LANDING_TABLES for name in ("a*", ERASED)),
        )
    ),
    *((role, each, "*") for role in ("Pipeline", "DataScientist") for each in VERSION_ACTIONS),
    ("Pipeline", "glue:Delete*", "*"),
    ("Erasure", "s3:Delete*", f"{{objects}}/{RECORDS}/*"),
    ("Erasure", "s3:PutBucketVersioning", "*"),
    *(("Erasure", "s3:Put*", f"{{objects}}/{table.location}/*") for table in WRITTEN_TABLES),
    ("DataScientist", "s3:Delete*", "*"),
    *(
        ("DataScientist", f"glue:{action}*", "*")
        for action in ("Create", "Update", "Delete", "Batch")
    ),
    *(("TrainingSet", f"s3:{action}*", "*") for action in ("Put", "Delete")),
    *((role, "s3:PutBucket*", "*") for role in ROLES),
]


@pytest.mark.parametrize(("role", "action", "resource"), DENIED)
def test__policy__denies(kms_stack: Stack, role: str, action: str, resource: str):
    documents = _on_resources(kms_stack, role)
    assert allowed_request(documents, [action], [kms_stack.arn(resource)]) is None


# All that a role may touch, in any way.
STORED = (*TABLES.values(), *map(records_of, LANDING_TABLES))
REACH = {
    "Ingest": ["{bucket}", *(f"{{objects}}/{table.location}/*" for table in LANDING_TABLES)],
    "Pipeline": [
        "{bucket}",
        f"{{objects}}/{RECORDS}/*",
        *(f"{{objects}}/{table.location}/*" for table in STORED),
        "{results}/pipeline/*",
        "{glue}:catalog",
        "{glue}:database/stedi",
        "{glue}:table/stedi/*",
        "{workgroup}-pipeline",
    ],
    "Erasure": [
        "{bucket}",
        *(f"{{objects}}/{table.location}/*" for table in STORED),
        f"{{objects}}/{RECORDS}/*",
    ],
    "DataScientist": [
        "{bucket}",
        "{results}/data-scientist/*",
        "{glue}:catalog",
        "{glue}:database/stedi",
        f"{{glue}}:table/stedi/{MACHINE_LEARNING_CURATED.name}",
        "{workgroup}-data-scientist",
    ],
    "TrainingSet": ["{bucket}", f"{{objects}}/{TRAINING_SET.location}/*"],
}


@pytest.mark.parametrize("role", REACH)
def test__policy__reaches_nothing_else(stack: Stack, role: str):
    reach = [*map(stack.arn, REACH[role]), *([KEY] if stack.key else [])]
    # Resource by resource, since of all together the solver may not come to an end.
    for document in _on_resources(stack, role):
        for statement in document["Statement"]:
            resources = statement["Resource"]
            for resource in [resources] if isinstance(resources, str) else resources:
                alone = {**document, "Statement": [{**statement, "Resource": resource}]}
                assert allowed_request([alone], ["*"], ["*"], not_resources=reach) is None


@pytest.mark.parametrize("role", REACH)
def test__policy__fits_iam(stack: Stack, role: str):
    text = json.dumps(stack.policies[f"{role}PolicyArn"], separators=(",", ":"))
    # A bucket's name may be this much longer than here, and so may a folder's.
    assert (
        len(text) + text.count(stack.bucket) * (63 - len(stack.bucket)) < MANAGED_POLICY_CHARACTERS
    )


def _on_resources(stack: Stack, role: str) -> list[dict[str, Any]]:
    """A role's documents, but for the one action that takes no resource."""
    documents = stack.documents(role)
    for document in documents:
        document["Statement"] = [
            each for each in document["Statement"] if each["Action"] != BY_LAKE_FORMATION
        ]
    return documents
