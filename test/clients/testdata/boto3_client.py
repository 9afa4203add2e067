"""Credentials by a web identity or a container endpoint, then GetCallerIdentity.

usage: boto3_client.py COUNT [STS-ENDPOINT]

Without an endpoint everything comes from the environment, as the newer boto3 reads it.
With one, for the older boto3, the role and the token file come from ROLE_ARN and
TOKEN_FILE: it would send a token to AWS that it finds in the environment.
Prints one JSON object a call, the last of them after a refusal.
"""
import json
import os
import sys

import boto3
from botocore.exceptions import ClientError

count = int(sys.argv[1])
endpoint = sys.argv[2] if len(sys.argv) > 2 else None
if endpoint and "ROLE_ARN" in os.environ:
    unsigned = boto3.client("sts", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x")
    with open(os.environ["TOKEN_FILE"], encoding="utf-8") as file:
        reply = unsigned.assume_role_with_web_identity(
            RoleArn=os.environ["ROLE_ARN"], RoleSessionName="boto3-session",
            WebIdentityToken=file.read().strip(), DurationSeconds=900)["Credentials"]
    try:
        unsigned.assume_role_with_web_identity(
            RoleArn=os.environ["ROLE_ARN"], RoleSessionName="boto3-session", WebIdentityToken="not.a.token")
        sys.exit("a bad token was taken")
    except unsigned.exceptions.InvalidIdentityTokenException:
        pass
    session = boto3.Session(reply["AccessKeyId"], reply["SecretAccessKey"], reply["SessionToken"])
else:
    session = boto3.Session()
sts = session.client("sts", endpoint_url=endpoint)
for _ in range(count):
    identity = sts.get_caller_identity()
    print(json.dumps({
        "version": boto3.__version__, "arn": identity["Arn"], "account": identity["Account"],
        "key": session.get_credentials().get_frozen_credentials().access_key}))

frozen = session.get_credentials().get_frozen_credentials()
wrong = boto3.client("sts", endpoint_url=endpoint, aws_access_key_id=frozen.access_key,
                     aws_secret_access_key="wrong", aws_session_token=frozen.token)
try:
    wrong.get_caller_identity()
    sys.exit("a wrong secret was taken")
except ClientError as error:
    print(json.dumps({"refused": error.response["Error"]["Code"]}))
