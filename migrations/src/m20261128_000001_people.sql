-- How people are let in, and what an admin allows them.

CREATE TABLE sessions (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id),
    hash {bytes} NOT NULL UNIQUE CHECK (length(hash) = 32),
    ip {text} NOT NULL,
    user_agent {text} NOT NULL,
    created_at {time} NOT NULL,
    authenticated_at {time} NOT NULL,
    last_seen_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    ended_at {time}
){updated_table};

CREATE INDEX sessions_user ON sessions (user_id, created_at);

-- What is over is removed by its end, which never changes.
CREATE INDEX sessions_expiry ON sessions (expires_at);

ALTER TABLE credentials ADD COLUMN allowed_ips {text} NOT NULL DEFAULT '';

CREATE INDEX credentials_user ON credentials (user_id, id);

ALTER TABLE users ADD COLUMN order_notional_max {money};

ALTER TABLE users ADD COLUMN day_notional_max {money};

-- Stops have a scope of their own from now on; a key that could trade could arm them before.
UPDATE credentials SET scopes = scopes || ' arbion:triggers' WHERE ' ' || scopes || ' ' LIKE '% trading %';
