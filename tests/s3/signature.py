"""Signed S3 requests (AWS Signature Version 4) with nothing but the standard library."""

import hashlib
import hmac
import time
import urllib.parse
import urllib.request


def signed(
    method: str,
    url: str,
    region: str,
    access_key: str,
    secret_key: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> urllib.request.Request:
    """A request for a URL without query, with the headers that prove who sends it."""
    parts = urllib.parse.urlsplit(url)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    body_hash = hashlib.sha256(body).hexdigest()
    to_sign = {"host": parts.netloc, "x-amz-content-sha256": body_hash, "x-amz-date": moment}
    names = ";".join(to_sign)
    canonical = "\n".join([
        method,
        parts.path,
        parts.query,
        *(f"{name}:{value}" for name, value in to_sign.items()),
        "",
        names,
        body_hash,
    ])
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={proof}"
    return urllib.request.Request(
        url, data=body, method=method, headers={**to_sign, "Authorization": authorization, **(headers or {})}
    )
