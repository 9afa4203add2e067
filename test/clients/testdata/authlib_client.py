"""Gets a token by client_credentials with authlib, and verifies it by our JWKS."""
import os

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt

issuer = os.environ["ISSUER"]
metadata = requests.get(issuer + "/.well-known/oauth-authorization-server", timeout=5).json()
assert metadata["issuer"] == issuer, metadata

session = OAuth2Session(
    os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"],
    token_endpoint_auth_method=os.environ["METHOD"], scope="s2s:internal",
)
token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", audience="parse-service")
assert token["token_type"] == "Bearer" and token["expires_in"] == 900, token

keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"], timeout=5).json())
claims = jwt.decode(token["access_token"], keys, claims_options={
    "iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "parse-service"},
    "exp": {"essential": True},
})
claims.validate()

broken = token["access_token"][:-4] + "AAAA"
try:
    jwt.decode(broken, keys)
except Exception:  # any refusal will do
    print("authlib: ok", claims["sub"], claims["aud"])
