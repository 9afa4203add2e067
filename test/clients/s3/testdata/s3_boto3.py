"""Does with boto3 what it is told: one JSON object a line on stdin, one answer a line on
stdout. The arguments are an S3 endpoint, a bucket and the addressing style."""
import json
import os
import sys
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

endpoint, bucket, style = sys.argv[1:]
options = {"s3": {"addressing_style": style}, "retries": {"max_attempts": 1}}
if os.environ.get("SIGNATURE") != "default":
    options["signature_version"] = "s3v4"
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(**options))
transfer = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)


def keys(prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 4})
    return [o["Key"] for page in pages for o in page.get("Contents", [])]


def put_folder(do):
    root = Path(do["folder"])
    for path in root.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), bucket, do["key"] + str(path.relative_to(root)))


def get_folder(do):
    for key in keys(do["key"]):
        path = Path(do["folder"]) / key[len(do["key"]):]
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))


def put(do):
    with open(do["file"], "rb") as body:
        s3.put_object(Bucket=bucket, Key=do["key"], Body=body, ContentType=do["type"], Metadata=do["metadata"] or {})


def get(do):
    answer = s3.get_object(Bucket=bucket, Key=do["key"])
    Path(do["file"]).write_bytes(answer["Body"].read())


def get_range(do):
    answer = s3.get_object(Bucket=bucket, Key=do["key"], Range="bytes=%d-%d" % (do["first"], do["last"]))
    Path(do["file"]).write_bytes(answer["Body"].read())


def head(do):
    answer = s3.head_object(Bucket=bucket, Key=do["key"])
    return {"size": answer["ContentLength"], "type": answer["ContentType"], "metadata": answer["Metadata"]}


def presign(method):
    return lambda do: {"url": s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": do["key"]}, ExpiresIn=300)}


def delete_many(do):
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in do["keys"]]})
    return {"keys": [o["Key"] for o in answer.get("Deleted", [])], "refused": {e["Key"]: e["Code"] for e in answer.get("Errors", [])}}


operations = {
    "put": put, "get": get, "range": get_range, "head": head, "put-folder": put_folder, "get-folder": get_folder,
    "list": lambda do: {"keys": keys(do["key"])},
    "buckets": lambda do: {"keys": [b["Name"] for b in s3.list_buckets()["Buckets"]]},
    "copy": lambda do: s3.copy({"Bucket": bucket, "Key": do["key"]}, bucket, do["to"], Config=transfer),
    "upload": lambda do: s3.upload_file(do["file"], bucket, do["key"], Config=transfer),
    "download": lambda do: s3.download_file(bucket, do["key"], do["file"], Config=transfer),
    "delete": lambda do: {"size": s3.delete_object(Bucket=bucket, Key=do["key"])["ResponseMetadata"]["RetryAttempts"]},
    "delete-many": delete_many, "presign-get": presign("get_object"), "presign-put": presign("put_object"),
}

for line in sys.stdin:
    do = json.loads(line)
    try:
        answer = operations[do["op"]](do) or {}
    except ClientError as error:
        answer = {"error": error.response["Error"]["Code"], "said": str(error)}
    except (BotoCoreError, boto3.exceptions.S3UploadFailedError) as error:
        cause = error.__cause__ or error.__context__
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else "?"
        answer = {"error": code, "said": str(error)}
    print(json.dumps(answer), flush=True)
