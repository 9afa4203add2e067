"""Logs in to Countersign with the AWS identity that this program has anyway.

usage: login.py STS-URL SERVER-ID ROLE-ARN      prints the credentials as JSON

botocore signs GetCallerIdentity but does not send it: Countersign does, and learns from AWS
who signed. No secret leaves this program, and the signature is good for one login.
"""
import base64, json, os, sys, urllib.parse, urllib.request, xml.etree.ElementTree as ET
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

def login(sts_url, server_id, role_arn):
    session = botocore.session.get_session()
    aws_url = os.environ.get("AWS_ENDPOINT_URL_STS", "https://sts.us-east-1.amazonaws.com") + "/"
    body = "Action=GetCallerIdentity&Version=2011-06-15"
    signed = AWSRequest("POST", aws_url, data=body, headers={
        "Content-Type": "application/x-www-form-urlencoded", "X-Countersign-Server-ID": server_id})
    SigV4Auth(session.get_credentials(), "sts", "us-east-1").add_auth(signed)
    encode = lambda text: base64.b64encode(text.encode()).decode()
    form = urllib.parse.urlencode({
        "Action": "AssumeRoleWithAWSIdentity", "Version": "2011-06-15", "RoleArn": role_arn,
        "IamRequestUrl": encode(aws_url), "IamRequestBody": encode(body),
        "IamRequestHeaders": encode(json.dumps(dict(signed.headers.items())))})
    reply = ET.parse(urllib.request.urlopen(sts_url, form.encode(), timeout=30))
    credentials = reply.find(".//{https://sts.amazonaws.com/doc/2011-06-15/}Credentials")
    return {field.tag.partition("}")[2]: field.text for field in credentials}

if __name__ == "__main__":
    print(json.dumps(login(*sys.argv[1:4])))
