"""What the roles may do and may not, action by action, for every table there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stedi_assets.erasure.record import RECORDS
from stedi_assets.landing.erased import ERASED
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, TABLES, Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.deploy.aws.conftest import ACCOUNT, KEY, REGION, Stack
from stedi_assets_tests.deploy.aws.policy_prover import allowed_request

MANAGED_POLICY_CHARACTERS = 6144  # IAM's limit, white space not counted
VERSION_ACTIONS = ("s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:PutBucketVersioning")
ROLES = ("Ingest", "Pipeline", "Erasure", "DataScientist")
WRITTEN_TABLES = (*QUARANTINE_TABLES, *DELTA_TABLES)
BY_LAKE_FORMATION = "lakeformation:GetDataAccess"


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


# Patterns: none of the requests that they stand for is allowed, whatever its context.
DENIED = [
    ("Ingest", "s3:Get*", "*"),
    ("Ingest", "s3:Delete*", "*"),
    ("Ingest", "glue:*", "*"),
    ("Ingest", "athena:*", "*"),
    *(("Ingest", "*", f"{{objects}}/{table.location}/*") for table in WRITTEN_TABLES),
    *(
        ("Ingest", "s3:Put*", f"{{objects}}/{table.location}/{name}")
        for table in LANDING_TABLES
        for name in LEDGERS
    ),
    ("Ingest", "*", f"{{objects}}/{RECORDS}/*"),
    *(
        ("Pipeline", f"s3:{action}*", f"{{objects}}/{RECORDS}/*")
        for action in ("Put", "Delete", "Abort")
    ),
    *(
        ("Erasure", f"s3:{action}", f"{{objects}}/{RECORDS}/*")
        for action in ("DeleteObject", "DeleteObjectVersion")
    ),
    ("Erasure", "s3:PutBucketVersioning", "*"),
    *(("Erasure", "s3:Put*", f"{{objects}}/{table.location}/*") for table in WRITTEN_TABLES),
    ("Erasure", "glue:*", "*"),
    ("Erasure", "athena:*", "*"),
    *(
        ("Pipeline", f"s3:{action}*", f"{{objects}}/{table.location}/{name}")
        for table in LANDING_TABLES
        for action in ("Put", "Delete", "Abort")
        for name in ("a*", ERASED)
    ),
    *(("Pipeline", action, "*") for action in VERSION_ACTIONS),
    ("Pipeline", "*", "{results}/data-scientist/*"),
    ("Pipeline", "*", "{workgroup}-data-scientist"),
    ("Pipeline", "glue:Delete*", "*"),
    ("Pipeline", "glue:*", "{glue}:database/other"),
    ("Pipeline", "glue:*", "{glue}:table/other/*"),
    # Not the training table either: its folder holds files of older versions too.
    ("DataScientist", "s3:*", "{objects}/*"),
    ("Ingest", "lakeformation:*", "*"),
    *(
        ("DataScientist", "*", f"{{glue}}:table/stedi/{name}")
        for name in TABLES
        if name != MACHINE_LEARNING_CURATED.name
    ),
    ("DataScientist", "s3:Delete*", "*"),
    *(("DataScientist", action, "*") for action in VERSION_ACTIONS),
    ("DataScientist", "*", "{results}/pipeline/*"),
    ("DataScientist", "*", "{workgroup}-pipeline"),
    *(
        ("DataScientist", f"glue:{action}*", "*")
        for action in ("Create", "Update", "Delete", "Batch")
    ),
    *((role, "iam:*", "*") for role in ROLES),
    *((role, "s3:PutBucket*", "*") for role in ROLES),
]


@pytest.mark.parametrize(("role", "action", "resource"), DENIED)
def test__policy__denies(kms_stack: Stack, role: str, action: str, resource: str):
    documents = _on_resources(kms_stack, role)
    assert allowed_request(documents, [action], [kms_stack.arn(resource)]) is None


def _on_resources(stack: Stack, role: str) -> list[dict[str, Any]]:
    """A role's documents, but for the one action that takes no resource."""
    documents = stack.documents(role)
    for document in documents:
        document["Statement"] = [
            each for each in document["Statement"] if each["Action"] != BY_LAKE_FORMATION
        ]
    return documents


@pytest.mark.parametrize("role", ["Ingest", "Pipeline", "DataScientist"])
def test__policy__lets_queries_ask_lake_formation_and_no_more(stack: Stack, role: str):
    """Its own permissions say of which tables, and it answers no one but Athena."""
    statements = [each for policy in stack.documents(role) for each in policy["Statement"]]
    of_lake_formation = [each for each in statements if "lakeformation" in str(each["Action"])]
    asks = {"Effect": "Allow", "Action": BY_LAKE_FORMATION, "Resource": "*"}
    expected = [] if role == "Ingest" else [{"Sid": "QueryThroughLakeFormation", **asks}]
    assert of_lake_formation == expected


# All that a role may touch, in any way.
REACH = {
    "Ingest": ["{bucket}", *(f"{{objects}}/{table.location}/*" for table in LANDING_TABLES)],
    "Pipeline": [
        "{bucket}",
        f"{{objects}}/{RECORDS}/*",
        *(f"{{objects}}/{table.location}/*" for table in TABLES.values()),
        "{results}/pipeline/*",
        "{glue}:catalog",
        "{glue}:database/stedi",
        "{glue}:table/stedi/*",
        "{workgroup}-pipeline",
    ],
    "Erasure": [
        "{bucket}",
        *(f"{{objects}}/{table.location}/*" for table in TABLES.values()),
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


def test__lake_formation__alone_reads_the_training_table(stack: Stack):
    """Whoever asks Athena, the table is read by a role that no one else may take."""
    location = stack.rendered["TrainingTableLocation"]
    assert location["ResourceArn"] == f"Bucket.Arn/{stack.prefix}/machine_learning/curated"
    assert location["RoleArn"] == "TrainingTableReader.Arn"
    [trust] = stack.rendered["TrainingTableReader"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lakeformation.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

    document = [stack.document("TrainingTablePolicy")]
    curated = stack.arn("{objects}/machine_learning/curated")
    assert allowed_request(document, ["s3:GetObject"], [f"{curated}/a.parquet"])
    bucket = stack.arn("{bucket}")
    elsewhere = [bucket, f"{curated}/*"]
    assert allowed_request(document, ["*"], ["*"], not_resources=elsewhere) is None
    assert allowed_request(document, ["s3:Put*", "s3:Delete*"], ["*"]) is None
    for listed, prefix in ((True, "machine_learning/curated/*"), (False, "customer/*")):
        context = {"s3:prefix": f"{stack.prefix}/{prefix}"}
        request = allowed_request(document, ["s3:ListBucket"], [bucket], context=context)
        assert bool(request) is listed


LISTED = [
    *(("Ingest", table.location, table in LANDING_TABLES) for table in TABLES.values()),
    *(("Pipeline", table.location, True) for table in TABLES.values()),
    *(("DataScientist", table.location, False) for table in TABLES.values()),
]


@pytest.mark.parametrize(("role", "location", "listed"), LISTED)
def test__policy__lists_by_prefix(kms_stack: Stack, role: str, location: str, listed: bool):
    request = allowed_request(
        kms_stack.documents(role),
        ["s3:ListBucket"],
        [kms_stack.arn("{bucket}")],
        context={"s3:prefix": f"{kms_stack.prefix}/{location}/*"},
    )
    assert bool(request) is listed, request


@pytest.mark.parametrize("table", LANDING_TABLES)
def test__ingest_policy__replaces_nothing_that_landed(s3_stack: Stack, table: Table):
    """S3 refuses to replace an object only if the request that writes it asks for that."""
    for absent, answered in (("true", False), ("false", True)):
        request = allowed_request(
            s3_stack.documents("Ingest"),
            ["s3:PutObject"],
            [s3_stack.arn(f"{{objects}}/{table.location}/a.json")],
            context={
                "s3:ObjectCreationOperation": "true",
                "s3:if-none-match is absent": absent,
            },
        )
        assert bool(request) is answered, request


@pytest.mark.parametrize("role", REACH)
@pytest.mark.parametrize(
    "prefix", ["", "{prefix}", "{prefix}/customer", "other/*", "athena-results/"]
)
def test__policy__lists_no_folder_above(kms_stack: Stack, role: str, prefix: str):
    request = allowed_request(
        kms_stack.documents(role),
        ["s3:List*"],
        [kms_stack.arn("{bucket}")],
        context={"s3:prefix": kms_stack.arn(prefix)},
    )
    assert request is None or (role, prefix) in (
        ("Pipeline", "{prefix}/customer"),
        ("Erasure", "{prefix}/customer"),
    )


def test__bucket_policy__denies_all_without_tls(stack: Stack):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    administrator = [{"Statement": everything}]
    for resource in (stack.arn("{bucket}"), stack.arn("{bucket}/*")):
        for tls, answered in (("false", False), ("true", True)):
            request = allowed_request(
                administrator,
                ["s3:*"],
                [resource],
                context={"aws:SecureTransport": tls},
                bucket=stack.bucket_policy,
            )
            assert bool(request) is answered, request


def test__key_policy__works_through_s3_alone(s3_stack: Stack, kms_stack: Stack):
    assert "KeyPolicyArn" not in s3_stack.outputs
    policy = [kms_stack.policies["KeyPolicyArn"]]
    through_s3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        assert allowed_request(policy, [action], [KEY], context=through_s3)
    for service in ("", "ec2.*", "s3.us-east-1.*"):
        assert not allowed_request(policy, ["*"], ["*"], context={"kms:ViaService": service})
    assert not allowed_request(policy, ["*"], ["*"], not_resources=[KEY])
    assert not allowed_request(policy, ["kms:CreateGrant", "kms:Put*", "kms:Schedule*"], ["*"])


@pytest.mark.parametrize("role", REACH)
def test__policy__fits_iam(stack: Stack, role: str):
    text = json.dumps(stack.policies[f"{role}PolicyArn"], separators=(",", ":"))
    # A bucket's name may be this much longer than here, and so may a folder's.
    assert (
        len(text) + text.count(stack.bucket) * (63 - len(stack.bucket)) < MANAGED_POLICY_CHARACTERS
    )
