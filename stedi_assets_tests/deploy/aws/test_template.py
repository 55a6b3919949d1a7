"""The CloudFormation template is valid, and what it makes is as the lakehouse needs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cloud_radar.cf.unit import Template

from stedi_assets_tests.deploy.aws.conftest import ACCOUNT, KEY, REGION, TEMPLATE, Stack


def test__template__passes_cfn_lint():
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--regions", REGION, "--", TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test__bucket__is_encrypted(stack: Stack):
    encryption = stack.client("s3").get_bucket_encryption(Bucket=stack.bucket)
    [rule] = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    if stack.key:
        expected = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    else:
        expected = {"SSEAlgorithm": "AES256"}
    assert rule["ApplyServerSideEncryptionByDefault"] == expected
    # moto does not take this one over.
    [declared] = stack.rendered["Bucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert declared["BucketKeyEnabled"] is bool(stack.key)


def test__bucket__keeps_versions_and_the_public_out(stack: Stack):
    bucket = stack.rendered["Bucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test__bucket__expires_what_is_deleted(stack: Stack):
    uploads, versions, results = stack.rendered["Bucket"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in (uploads, versions, results)} == {"Enabled"}
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": "14"}
    assert "Prefix" not in versions
    assert results["Prefix"] == "athena-results/"
    assert results["ExpirationInDays"] == 7
    assert results["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test__bucket__outlives_its_stack():
    resources = Template.from_yaml(TEMPLATE).template["Resources"]
    for name in ("Bucket", "BucketPolicy"):
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test__glue_database__is_at_the_lakehouse(stack: Stack):
    database = stack.rendered["Database"]
    assert database["CatalogId"] == ACCOUNT
    assert database["DatabaseInput"]["Name"] == "stedi"
    assert database["DatabaseInput"]["LocationUri"] == f"s3://Bucket/{stack.prefix}"
    assert stack.outputs["LakehouseUri"] == f"s3://{stack.bucket}/{stack.prefix}"


@pytest.mark.parametrize(
    ("resource", "role"),
    [("PipelineWorkgroup", "pipeline"), ("DataScientistWorkgroup", "data-scientist")],
)
def test__athena_workgroup__enforces_its_settings(stack: Stack, resource: str, role: str):
    workgroup = stack.rendered[resource]
    encryption = (
        {"EncryptionOption": "SSE_KMS", "KmsKey": KEY}
        if stack.key
        else {"EncryptionOption": "SSE_S3"}
    )
    assert workgroup["Name"] == f"{stack.name}-{role}"
    assert workgroup["WorkGroupConfiguration"] == {
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "BytesScannedCutoffPerQuery": 10737418240,
        "EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"},
        "ResultConfiguration": {
            "OutputLocation": f"s3://Bucket/athena-results/{role}/",
            "EncryptionConfiguration": encryption,
        },
    }


def test__readme__lists_every_parameter_and_output():
    template = Template.from_yaml(TEMPLATE).template
    rows = re.findall(r"^\| `(\w+)`", (TEMPLATE.parent / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted([*template["Parameters"], *template["Outputs"]])
