"""The CloudFormation template, deployed to a moto server.

moto's CloudFormation makes the bucket with its encryption, the managed policies and the outputs
that name them. It skips the bucket's other settings, and the bucket policy, the Glue database and
the Athena workgroups altogether; those are read from the template as cloud-radar renders it.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from cloud_radar.cf.unit import Template

from stedi_assets_tests.conftest import PROJECT

TEMPLATE = PROJECT / "deploy" / "aws" / "lakehouse.yaml"
REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
ROLES = ("Ingest", "Pipeline", "Erasure", "DataScientist", "TrainingSet")
BY_LAKE_FORMATION = "lakeformation:GetDataAccess"  # the one action that takes no resource
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Stack:
    """A deployed stack and its template as rendered with the same parameters.

    Attributes:
        name: The stack's name.
        prefix: The folder of the lakehouse in the bucket.
        key: The ARN of the KMS key, or nothing.
        endpoint: The moto server's URL.
        outputs: The stack's outputs.
        rendered: Resource to its properties.
        policies: Output that names a managed policy to the document that IAM holds.
    """

    name: str
    prefix: str
    key: str
    endpoint: str
    outputs: dict[str, str]
    rendered: dict[str, dict[str, Any]]
    policies: dict[str, dict[str, Any]]

    def client(self, service: str) -> Any:
        return client(service, self.endpoint)

    @property
    def bucket(self) -> str:
        return self.outputs["LakehouseUri"].split("/")[2]

    @property
    def bucket_policy(self) -> dict[str, Any]:
        return self.document("BucketPolicy")

    def document(self, resource: str) -> dict[str, Any]:
        """The policy document of a resource of the template."""
        text = json.dumps(self.rendered[resource]["PolicyDocument"])
        return json.loads(text.replace("Bucket.Arn", f"arn:aws:s3:::{self.bucket}"))

    def documents(self, role: str) -> list[dict[str, Any]]:
        """The documents of the policies that a role is given."""
        names = [f"{role}PolicyArn", *(["KeyPolicyArn"] if self.key else [])]
        return [copy.deepcopy(self.policies[name]) for name in names]

    def arn(self, pattern: str) -> str:
        """A pattern with the names of this stack's bucket, folder and workgroups."""
        return pattern.format(
            objects=f"arn:aws:s3:::{self.bucket}/{self.prefix}",
            results=f"arn:aws:s3:::{self.bucket}/athena-results",
            bucket=f"arn:aws:s3:::{self.bucket}",
            prefix=self.prefix,
            glue=f"arn:aws:glue:{REGION}:{ACCOUNT}",
            workgroup=f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{self.name}",
        )


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def held_by_iam(endpoint: str, arn: str) -> dict[str, Any]:
    """The document of a managed policy."""
    iam = client("iam", endpoint)
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def deploy(endpoint: str, name: str, prefix: str, key: str) -> Stack:
    """Deploys the template over HTTP."""
    parameters = {"Prefix": prefix, "KmsKeyArn": key, "NoncurrentVersionDays": "14"}
    cloudformation = client("cloudformation", endpoint)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    [deployed] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert deployed["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}
    return Stack(
        name,
        prefix,
        key,
        endpoint,
        outputs,
        render(name, parameters),
        {
            output: held_by_iam(endpoint, arn)
            for output, arn in outputs.items()
            if output.endswith("PolicyArn")
        },
    )


def render(name: str, parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Resource to properties, as CloudFormation would hand them to the services."""
    template = Template.from_yaml(TEMPLATE)
    with patch.multiple(Template, AccountId=ACCOUNT, StackName=name):
        resources = template.render(parameters, region=REGION)["Resources"]
    return {resource: each["Properties"] for resource, each in resources.items()}


@pytest.fixture(scope="session")
def s3_stack(moto_endpoint: str) -> Stack:
    """Encrypted with the keys of S3, as by default."""
    return deploy(moto_endpoint, "stedi-test-s3", "lakehouse", "")


@pytest.fixture(scope="session")
def kms_stack(moto_endpoint: str) -> Stack:
    """Encrypted with a KMS key, so its roles have one policy more."""
    return deploy(moto_endpoint, "stedi-test-kms", "stedi/v1", KEY)


@pytest.fixture(params=["s3_stack", "kms_stack"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Either of them."""
    return request.getfixturevalue(request.param)
