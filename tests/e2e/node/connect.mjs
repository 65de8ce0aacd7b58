// Gets tokens through oauth4webapi as any of its users would, and trades with them.
//
// Its one argument are JSON settings: `issuer`, and the apps `confidential` and `public` as they are registered. An address
// that a person has to open is printed after the word `open`; where the browser is led then is read from the input. The
// last word is `ok`.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

// The one thing that is changed: the server under test is reached without TLS.
const plain = { [oauth.allowInsecureRequests]: true };
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function discover(issuer) {
  const response = await oauth.discoveryRequest(new URL(issuer), { algorithm: "oauth2", ...plain });
  return oauth.processDiscoveryResponse(new URL(issuer), response);
}

/** The authorization code grant, in whose middle a person says yes. */
async function connect(server, client, auth, redirectUri) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const address = new URL(server.authorization_endpoint);
  for (const [name, value] of Object.entries({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: "code",
    scope: "trading",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
  })) {
    address.searchParams.set(name, value);
  }
  console.log(`open ${address.href}`);
  const location = new URL((await input.next()).value);
  assert.throws(() => oauth.validateAuthResponse(server, client, location, "of somebody else"));
  const mixedUp = new URL(location);
  mixedUp.searchParams.set("iss", "https://elsewhere.example");
  assert.throws(() => oauth.validateAuthResponse(server, client, mixedUp, state));
  const answer = oauth.validateAuthResponse(server, client, location, state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, auth, answer, redirectUri, verifier, plain);
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function request(server, token, method, path, body) {
  const headers = new Headers({ "content-type": "application/json" });
  const url = new URL(path, server.issuer);
  return oauth.protectedResourceRequest(token, method, url, headers, body && JSON.stringify(body), plain);
}

async function trade(server, token) {
  const order = { symbol: "BTC/USD", notional: "100", side: "buy", type: "market", time_in_force: "gtc" };
  const placed = await request(server, token, "POST", "/v2/orders", order);
  assert.equal(placed.status, 200, await placed.clone().text());
  const found = await request(server, token, "GET", `/v2/orders/${(await placed.json()).id}`);
  assert.equal((await found.json()).symbol, "BTC/USD");
}

/** Whether the library understands that the token is worth nothing any more. */
async function isRefused(server, token) {
  try {
    await request(server, token, "GET", "/v2/account");
    return false;
  } catch (error) {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error);
    assert.equal(error.cause[0].parameters.error, "invalid_token");
    return true;
  }
}

async function refresh(server, client, auth, refreshToken) {
  const response = await oauth.refreshTokenGrantRequest(server, client, auth, refreshToken, plain);
  return oauth.processRefreshTokenResponse(server, client, response);
}

async function revoke(server, client, auth, token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, token, plain));
}

async function inspect(server, client, auth, token) {
  const response = await oauth.introspectionRequest(server, client, auth, token, plain);
  return oauth.processIntrospectionResponse(server, client, response);
}

async function forAPerson(server, app, auth) {
  const client = { client_id: app.client_id };
  const first = await connect(server, client, auth, app.redirect_uri);
  assert.equal(first.scope, "trading");
  await trade(server, first.access_token);
  const second = await refresh(server, client, auth, first.refresh_token);
  assert.notEqual(second.access_token, first.access_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  await trade(server, second.access_token);
  if (app.client_secret) {
    const told = await inspect(server, client, auth, second.access_token);
    assert.deepEqual([told.active, told.scope, told.client_id], [true, "trading", app.client_id]);
  }
  await revoke(server, client, auth, second.refresh_token);
  assert.ok(await isRefused(server, second.access_token));
  await assert.rejects(refresh(server, client, auth, second.refresh_token), { error: "invalid_grant" });
}

async function forItsOwner(server, app, auth) {
  const client = { client_id: app.client_id };
  const parameters = { scope: "trading" };
  const response = await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, plain);
  const token = await oauth.processClientCredentialsResponse(server, client, response);
  assert.equal(token.refresh_token, undefined);
  await trade(server, token.access_token);
  assert.equal((await inspect(server, client, auth, token.access_token)).active, true);
  await revoke(server, client, auth, token.access_token);
  assert.deepEqual(await inspect(server, client, auth, token.access_token), { active: false });
  assert.ok(await isRefused(server, token.access_token));
}

const settings = JSON.parse(process.argv.at(-1));
const server = await discover(settings.issuer);
const secret = settings.confidential.client_secret;
await forAPerson(server, settings.confidential, oauth.ClientSecretBasic(secret));
await forAPerson(server, settings.confidential, oauth.ClientSecretPost(secret));
await forAPerson(server, settings.public, oauth.None());
await forItsOwner(server, settings.confidential, oauth.ClientSecretBasic(secret));
console.log("ok");
process.exit(0);
