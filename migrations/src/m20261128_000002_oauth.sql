-- The authorization server: which apps there are, what people let them do, and the codes and tokens by which they do it.
-- Secrets stand here only as their SHA-256.

CREATE TABLE oauth_clients (
    id {uuid} NOT NULL PRIMARY KEY,
    client_id {text} NOT NULL UNIQUE,
    user_id {uuid} NOT NULL REFERENCES users (id),
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    name {text} NOT NULL,
    hash {bytes} CHECK (length(hash) = 32),
    grant_types {text} NOT NULL,
    redirect_uris {json} NOT NULL,
    scopes {text} NOT NULL,
    created_at {time} NOT NULL,
    revoked_at {time}
){updated_table};

CREATE INDEX oauth_clients_user ON oauth_clients (user_id, created_at, id);

CREATE TABLE oauth_grants (
    id {uuid} NOT NULL PRIMARY KEY,
    client {uuid} NOT NULL REFERENCES oauth_clients (id),
    user_id {uuid} NOT NULL REFERENCES users (id),
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    kind {text} NOT NULL CHECK (kind IN ('consent', 'own')),
    scopes {text} NOT NULL,
    created_at {time} NOT NULL,
    last_used_at {time},
    revoked_at {time}
){updated_table};

CREATE INDEX oauth_grants_user ON oauth_grants (user_id, created_at, id) WHERE revoked_at IS NULL;

-- What a client does for its own account is one family, however often it asks.
CREATE UNIQUE INDEX oauth_grants_own ON oauth_grants (client) WHERE kind = 'own' AND revoked_at IS NULL;

CREATE TABLE oauth_codes (
    hash {bytes} NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    grant_id {uuid} NOT NULL REFERENCES oauth_grants (id),
    redirect_uri {text},
    code_challenge {text} NOT NULL CHECK (length(code_challenge) BETWEEN 43 AND 128),
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time}
){queue_table};

CREATE INDEX oauth_codes_grant ON oauth_codes (grant_id);

CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_at);

CREATE TABLE oauth_tokens (
    id {uuid} NOT NULL PRIMARY KEY,
    grant_id {uuid} NOT NULL REFERENCES oauth_grants (id),
    kind {text} NOT NULL CHECK (kind IN ('access', 'refresh')),
    hash {bytes} NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes {text} NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time},
    revoked_at {time}
){queue_table};

CREATE INDEX oauth_tokens_grant ON oauth_tokens (grant_id);

CREATE INDEX oauth_tokens_expiry ON oauth_tokens (expires_at);
