"""The conditions of the policies, and those of the bucket, the key and Lake Formation."""

from __future__ import annotations

import pytest

from stedi_assets.tables import LANDING_TABLES, TABLES, Table
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets_tests.deploy.aws.conftest import (
    ACCOUNT,
    BY_LAKE_FORMATION,
    KEY,
    REGION,
    ROLES,
    Stack,
)
from stedi_assets_tests.deploy.aws.policy_prover import allowed_request


@pytest.mark.parametrize("role", ["Ingest", "Pipeline", "DataScientist"])
def test__policy__lets_queries_ask_lake_formation_and_no_more(stack: Stack, role: str):
    """Its own permissions say of which tables, and it answers no one but Athena."""
    statements = [each for policy in stack.documents(role) for each in policy["Statement"]]
    of_lake_formation = [each for each in statements if "lakeformation" in str(each["Action"])]
    asks = {"Effect": "Allow", "Action": BY_LAKE_FORMATION, "Resource": "*"}
    expected = [] if role == "Ingest" else [{"Sid": "QueryThroughLakeFormation", **asks}]
    assert of_lake_formation == expected


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
    *(("TrainingSet", table.location, table == TRAINING_SET) for table in TABLES.values()),
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


@pytest.mark.parametrize("role", ROLES)
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
