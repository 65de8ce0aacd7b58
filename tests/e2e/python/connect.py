"""Gets tokens through authlib as any of its users would, and trades with them.

    python connect.py SETTINGS

SETTINGS are JSON: `issuer`, and the apps `confidential` and `public` as they are registered. An address that a person has
to open is printed after the word `open`; where the browser is led then is read from the input. The last word is `ok`.
"""

import json
import sys

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc8414, rfc9207
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from requests import get
from urllib.parse import parse_qs, urlsplit

ORDER = {"symbol": "BTC/USD", "notional": "100", "side": "buy", "type": "market", "time_in_force": "gtc"}


def discover(issuer):
    document = get(rfc8414.get_well_known_url(issuer, external=True), timeout=30).json()
    metadata = rfc8414.AuthorizationServerMetadata(document)
    metadata.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
    assert metadata["issuer"] == issuer, metadata["issuer"]
    assert metadata["authorization_response_iss_parameter_supported"] is True
    return metadata


def session_of(app, metadata, saved):
    def save(token, refresh_token=None, access_token=None):
        saved.append(token)

    return OAuth2Session(
        app["client_id"],
        app.get("client_secret"),
        redirect_uri=app["redirect_uri"],
        scope="trading",
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
        token_endpoint_auth_method="client_secret_basic" if app.get("client_secret") else "none",
        update_token=save,
    )


def connect(session, metadata):
    """The authorization code grant, in whose middle a person says yes."""
    verifier = generate_token(64)
    address, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    print("open", address, flush=True)
    location = sys.stdin.readline().strip()
    answer = parse_qs(urlsplit(location).query)
    assert answer["iss"] == [metadata["issuer"]] and answer["state"] == [state], location
    try:
        session.fetch_token(authorization_response=location, code_verifier=verifier, state="of somebody else")
        raise AssertionError("the state was not compared")
    except MismatchingStateException:
        pass
    token = session.fetch_token(authorization_response=location, code_verifier=verifier)
    assert token["token_type"] == "Bearer" and token["scope"] == "trading" and token["refresh_token"], token
    return token


def trade(session, issuer):
    placed = session.post(f"{issuer}/v2/orders", json=ORDER)
    assert placed.status_code == 200, placed.text
    order = session.get(f"{issuer}/v2/orders/{placed.json()['id']}")
    assert order.status_code == 200 and order.json()["symbol"] == "BTC/USD", order.text


def status(issuer, token):
    return get(f"{issuer}/v2/account", headers={"authorization": f"Bearer {token}"}, timeout=30).status_code


def for_a_person(app, metadata):
    issuer, saved = metadata["issuer"], []
    session = session_of(app, metadata, saved)
    first = connect(session, metadata)
    trade(session, issuer)
    # By itself, when the token has ended.
    session.token["expires_at"] = 1
    assert session.get(f"{issuer}/v2/account").status_code == 200
    (second,) = saved
    assert second["access_token"] != first["access_token"] and second["refresh_token"] != first["refresh_token"]
    third = session.refresh_token(refresh_token=second["refresh_token"])
    trade(session, issuer)
    if app.get("client_secret"):
        told = session.introspect_token(metadata["introspection_endpoint"], token=third["access_token"]).json()
        assert told["active"] is True and told["scope"] == "trading" and told["client_id"] == app["client_id"], told
    revoked = session.revoke_token(
        metadata["revocation_endpoint"], token=third["refresh_token"], token_type_hint="refresh_token"
    )
    assert revoked.status_code == 200, revoked.text
    assert status(issuer, third["access_token"]) == 401
    try:
        session.refresh_token(refresh_token=third["refresh_token"])
        raise AssertionError("a revoked token was refreshed")
    except OAuthError as error:
        assert error.error == "invalid_grant", error


def for_its_owner(app, metadata):
    issuer = metadata["issuer"]
    session = session_of(app, metadata, [])
    token = session.fetch_token(grant_type="client_credentials")
    assert "refresh_token" not in token and token["scope"] == "trading", token
    trade(session, issuer)
    told = session.introspect_token(metadata["introspection_endpoint"], token=token["access_token"]).json()
    assert told["active"] is True, told
    session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"], token_type_hint="access_token")
    told = session.introspect_token(metadata["introspection_endpoint"], token=token["access_token"]).json()
    assert told == {"active": False}, told
    assert status(issuer, token["access_token"]) == 401


def main():
    settings = json.loads(sys.argv[1])
    metadata = discover(settings["issuer"])
    for_a_person(settings["confidential"], metadata)
    for_a_person(settings["public"], metadata)
    for_its_owner(settings["confidential"], metadata)
    print("ok")


if __name__ == "__main__":
    main()
