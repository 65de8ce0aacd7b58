-- Price triggers, the sweeps that fire them, and who leads.

CREATE TABLE triggers (
    id {uuid} NOT NULL PRIMARY KEY,
    user_id {uuid} NOT NULL REFERENCES users (id),
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    asset_id {uuid} NOT NULL REFERENCES assets (id),
    symbol {text} NOT NULL,
    asset_class {text} NOT NULL CHECK (asset_class IN ('us_equity', 'crypto')),
    direction {text} NOT NULL CHECK (direction IN ('falling', 'rising')),
    reference {text} NOT NULL CHECK (reference IN ('last', 'bid', 'ask', 'mid')),
    stop_price {money} NOT NULL,
    price_key {bigint} NOT NULL,
    quantity {money},
    state {text} NOT NULL CHECK (state IN ('armed', 'firing', 'done', 'canceled')),
    generation {int} NOT NULL,
    exit_order_id {uuid},
    fired_price {money},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    fired_at {time},
    ended_because {text}
){updated_table};

-- Which of a million fire at this price: a sweep reads this range and nothing else.
CREATE INDEX triggers_armed ON triggers (asset_id, reference, direction, price_key) WHERE state = 'armed';

CREATE INDEX triggers_account ON triggers (account_id, created_at, id);

-- One exit for each generation, however often it is tried to be fired.
CREATE TABLE trigger_exits (
    trigger_id {uuid} NOT NULL REFERENCES triggers (id),
    generation {int} NOT NULL,
    order_id {uuid} NOT NULL UNIQUE,
    PRIMARY KEY (trigger_id, generation)
){table};

CREATE TABLE sweeps (
    slot {bigint} NOT NULL,
    shard {int} NOT NULL,
    shards {int} NOT NULL,
    fence {bigint} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('pending', 'running', 'done')),
    claimed_by {text},
    claimed_until {time},
    symbols {int} NOT NULL DEFAULT 0,
    fired {int} NOT NULL DEFAULT 0,
    skipped {json} NOT NULL,
    created_at {time} NOT NULL,
    started_at {time},
    finished_at {time},
    PRIMARY KEY (slot, shard),
    CHECK (shard >= 0 AND shard < shards)
){updated_table};

CREATE INDEX sweeps_unfinished ON sweeps (slot, shard) WHERE finished_at IS NULL;

CREATE TABLE leases (
    name {text} NOT NULL PRIMARY KEY,
    holder {text} NOT NULL,
    fence {bigint} NOT NULL,
    expires_at {time} NOT NULL
){updated_table};
