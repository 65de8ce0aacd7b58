-- Orders, what happened to them, and what remains to be done.
--
-- Orders, their events and their work come into being in one statement that holds the account's row lock, so these
-- tables have no foreign keys to users, accounts and assets: each would be looked up and locked once for each order.
--
-- Only columns that never change, and closed_at, are indexed: every other update stays within its page.

CREATE TABLE orders (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL,
    account_id {uuid} NOT NULL,
    group_id {uuid} NOT NULL,
    client_order_id {text} NOT NULL,
    asset_id {uuid} NOT NULL,
    symbol {text} NOT NULL,
    asset_class {text} NOT NULL CHECK (asset_class IN ('us_equity', 'crypto')),
    side {text} NOT NULL CHECK (side IN ('buy', 'sell')),
    kind {text} NOT NULL CHECK (kind IN ('market', 'limit')),
    quantity {money},
    notional {money},
    limit_price {money},
    time_in_force {text} NOT NULL CHECK (time_in_force IN ('day', 'gtc', 'ioc', 'fok')),
    extended_hours {bool} NOT NULL,
    position_intent {text}
        CHECK (position_intent IN ('buy_to_open', 'buy_to_close', 'sell_to_open', 'sell_to_close')),
    reserve_rate {rate} NOT NULL,
    exposure_rate {rate} NOT NULL,
    trading_date {date} NOT NULL,
    replaces {uuid},
    submitted_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    broker_order_id {text},
    submission {text} NOT NULL CHECK (submission IN ('unsent', 'sending', 'unconfirmed', 'acknowledged')),
    is_working {bool} NOT NULL,
    held_by_trigger {uuid},
    cancel_requested_at {time},
    replaced_by {uuid},
    filled_quantity {money} NOT NULL,
    filled_cost {money} NOT NULL,
    closed_at {time},
    closed_how {text} CHECK (closed_how IN ('filled', 'canceled', 'expired', 'rejected', 'replaced')),
    reject_reason {text},
    CONSTRAINT orders_client_order_id UNIQUE (account_id, client_order_id),
    CHECK ((quantity IS NULL) <> (notional IS NULL)),
    CHECK ((kind = 'limit') = (limit_price IS NOT NULL)),
    CHECK ((closed_at IS NULL) = (closed_how IS NULL))
){updated_table};

CREATE INDEX orders_submitted ON orders (account_id, submitted_at DESC, id);

CREATE INDEX orders_open ON orders (account_id, submitted_at DESC, id) WHERE closed_at IS NULL;

-- The orders that joined a group; the first order of a group has the group's id.
CREATE INDEX orders_joined ON orders (group_id) WHERE replaces IS NOT NULL;

-- The log: seq has no gaps within an account, and rows neither change nor go away.
CREATE TABLE order_events (
    account_id {uuid} NOT NULL,
    seq {bigint} NOT NULL,
    order_id {uuid} NOT NULL,
    kind {text} NOT NULL,
    at {time} NOT NULL,
    cause {json} NOT NULL,
    data {json} NOT NULL,
    hash {bytes},
    PRIMARY KEY (account_id, seq)
){table};

CREATE INDEX order_events_order ON order_events (order_id, seq);

CREATE TABLE fills (
    connection_id {uuid} NOT NULL REFERENCES broker_connections (id),
    broker_fill_id {text} NOT NULL,
    order_id {uuid} NOT NULL,
    account_id {uuid} NOT NULL,
    asset_id {uuid} NOT NULL,
    side {text} NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity {money} NOT NULL,
    price {money} NOT NULL,
    cost {money} NOT NULL,
    fee {money} NOT NULL,
    fee_currency {text} NOT NULL,
    at {time} NOT NULL,
    recorded_at {time} NOT NULL,
    event_seq {bigint} NOT NULL,
    PRIMARY KEY (connection_id, broker_fill_id)
){table};

CREATE INDEX fills_order ON fills (order_id);

CREATE INDEX fills_account ON fills (account_id, at);

-- What remains to be done for an order; a row goes away when it is done.
CREATE TABLE order_work (
    order_id {uuid} NOT NULL,
    kind {text} NOT NULL CHECK (kind IN ('submit', 'cancel', 'replace', 'reconcile')),
    account_id {uuid} NOT NULL,
    due_at {time} NOT NULL,
    claimed_by {text},
    claimed_until {time},
    fence {bigint} NOT NULL DEFAULT 0,
    attempts {int} NOT NULL DEFAULT 0,
    last_error {text},
    PRIMARY KEY (order_id, kind)
){queue_table};

CREATE INDEX order_work_due ON order_work (due_at);

-- One row for each call to a broker, committed before the first byte leaves.
CREATE TABLE broker_attempts (
    order_id {uuid} NOT NULL REFERENCES orders (id),
    kind {text} NOT NULL CHECK (kind IN ('submit', 'cancel', 'replace', 'reconcile')),
    n {int} NOT NULL,
    fence {bigint} NOT NULL,
    id_sent {text} NOT NULL,
    broker_order_id {text},
    correlation_id {text} NOT NULL,
    started_at {time} NOT NULL,
    ended_at {time},
    outcome {text} CHECK (outcome IN ('acknowledged', 'refused', 'not_sent', 'unknown')),
    detail {text},
    PRIMARY KEY (order_id, kind, n),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
){updated_table};

CREATE TABLE idempotency_keys (
    account_id {uuid} NOT NULL,
    credential_id {uuid} NOT NULL,
    method {text} NOT NULL,
    path {text} NOT NULL,
    key {text} NOT NULL,
    body_hash {bytes} NOT NULL CHECK (length(body_hash) = 32),
    status {int} NOT NULL,
    body {text} NOT NULL,
    headers {json} NOT NULL,
    order_id {uuid},
    created_at {time} NOT NULL,
    PRIMARY KEY (account_id, credential_id, method, path, key)
){table};

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
