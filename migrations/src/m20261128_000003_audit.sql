-- The audit log, and the seals of both logs: this one and order_events.
--
-- No row of a log is ever rewritten: the hashes of a batch stand in one row of audit_seals. A user or an account that an
-- event names may be unknown (a login with an e-mail that nobody has), so there are no foreign keys.

CREATE TABLE audit_events (
    chain_id {uuid} NOT NULL,
    seq {bigint} NOT NULL,
    at {time} NOT NULL,
    kind {text} NOT NULL,
    user_id {uuid},
    credential_id {uuid},
    account_id {uuid},
    subject {text},
    ip {text},
    request_id {text},
    data {json} NOT NULL,
    PRIMARY KEY (chain_id, seq)
){table};

-- Pages over everything, and over what one user did; both are read backwards.
CREATE INDEX audit_events_at ON audit_events (at, chain_id, seq);

CREATE INDEX audit_events_user ON audit_events (user_id, at, chain_id, seq);

-- Hands out the numbers of a chain without gaps: its row is locked until the event is committed.
CREATE TABLE audit_chains (
    chain_id {uuid} NOT NULL PRIMARY KEY,
    last_seq {bigint} NOT NULL
){updated_table};

-- The hashes of the rows seq_from to seq_to, 32 bytes each, in order.
CREATE TABLE audit_seals (
    source {text} NOT NULL CHECK (source IN ('audit', 'orders')),
    chain_id {uuid} NOT NULL,
    seq_from {bigint} NOT NULL,
    seq_to {bigint} NOT NULL,
    hashes {bytes} NOT NULL,
    key_fingerprint {text} NOT NULL,
    at {time} NOT NULL,
    PRIMARY KEY (source, chain_id, seq_from)
){table};

-- How far each chain is sealed.
CREATE TABLE audit_heads (
    source {text} NOT NULL CHECK (source IN ('audit', 'orders')),
    chain_id {uuid} NOT NULL,
    seq {bigint} NOT NULL,
    hash {bytes} NOT NULL,
    key_fingerprint {text} NOT NULL,
    at {time} NOT NULL,
    anchored_seq {bigint} NOT NULL,
    anchored_at {time},
    PRIMARY KEY (source, chain_id)
){updated_table};

CREATE TABLE audit_anchors (
    source {text} NOT NULL CHECK (source IN ('audit', 'orders')),
    chain_id {uuid} NOT NULL,
    seq {bigint} NOT NULL,
    hash {bytes} NOT NULL,
    at {time} NOT NULL,
    PRIMARY KEY (source, chain_id, seq)
){table};
