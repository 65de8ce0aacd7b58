-- Who trades, where, and with which keys.

CREATE TABLE users (
    id {uuid} NOT NULL PRIMARY KEY,
    email {text} NOT NULL UNIQUE,
    password_hash {text},
    role {text} NOT NULL CHECK (role IN ('superadmin', 'admin', 'standard')),
    is_active {bool} NOT NULL,
    notional_open {money} NOT NULL DEFAULT '0',
    created_at {time} NOT NULL
){updated_table};

CREATE TABLE user_days (
    user_id {uuid} NOT NULL REFERENCES users (id),
    trading_date {date} NOT NULL,
    notional_filled {money} NOT NULL DEFAULT '0',
    PRIMARY KEY (user_id, trading_date)
){updated_table};

CREATE TABLE broker_connections (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id),
    broker {text} NOT NULL,
    mode {text} NOT NULL CHECK (mode IN ('paper', 'live')),
    starting_cash {money} NOT NULL,
    created_at {time} NOT NULL
){table};

CREATE INDEX broker_connections_user ON broker_connections (user_id);

CREATE TABLE broker_cursors (
    connection_id {uuid} NOT NULL PRIMARY KEY REFERENCES broker_connections (id),
    cursor {text} NOT NULL,
    updated_at {time} NOT NULL
){updated_table};

CREATE TABLE accounts (
    id {uuid} NOT NULL PRIMARY KEY,
    account_number {text} NOT NULL UNIQUE,
    user_id {uuid} NOT NULL REFERENCES users (id),
    broker_connection_id {uuid} NOT NULL REFERENCES broker_connections (id),
    mode {text} NOT NULL CHECK (mode IN ('paper', 'live')),
    last_event_seq {bigint} NOT NULL DEFAULT 0,
    risk_version {bigint} NOT NULL DEFAULT 0,
    created_at {time} NOT NULL
){updated_table};

CREATE INDEX accounts_user ON accounts (user_id, created_at, id);

CREATE INDEX accounts_connection ON accounts (broker_connection_id);

CREATE TABLE account_days (
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    trading_date {date} NOT NULL,
    notional_filled {money} NOT NULL DEFAULT '0',
    PRIMARY KEY (account_id, trading_date)
){updated_table};

CREATE TABLE credentials (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id),
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    kind {text} NOT NULL CHECK (kind IN ('api_key')),
    key_id {text} NOT NULL UNIQUE,
    hash {bytes} NOT NULL CHECK (length(hash) = 32),
    name {text} NOT NULL,
    scopes {text} NOT NULL,
    expires_at {time},
    revoked_at {time},
    last_used_at {time},
    created_at {time} NOT NULL
){updated_table};

CREATE INDEX credentials_account ON credentials (account_id);
