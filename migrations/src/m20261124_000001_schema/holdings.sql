-- What can be traded, and what an account holds.

CREATE TABLE assets (
    id {uuid} NOT NULL PRIMARY KEY,
    symbol {text} NOT NULL UNIQUE,
    class {text} NOT NULL CHECK (class IN ('us_equity', 'crypto')),
    exchange {text} NOT NULL,
    name {text} NOT NULL,
    tradable {bool} NOT NULL,
    fractionable {bool} NOT NULL,
    min_order_size {money} NOT NULL,
    min_trade_increment {money} NOT NULL,
    price_increment {money} NOT NULL
){table};

CREATE TABLE price_marks (
    asset_id {uuid} NOT NULL PRIMARY KEY REFERENCES assets (id),
    price {money} NOT NULL,
    at {time} NOT NULL,
    suspect_price {money},
    suspect_at {time},
    CHECK ((suspect_price IS NULL) = (suspect_at IS NULL))
){updated_table};

-- `amount` includes what is reserved; `reserved` is the sum of the account's reservations in that currency.
CREATE TABLE balances (
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    currency {text} NOT NULL,
    amount {money} NOT NULL,
    reserved {money} NOT NULL DEFAULT '0',
    PRIMARY KEY (account_id, currency)
){updated_table};

CREATE TABLE positions (
    account_id {uuid} NOT NULL REFERENCES accounts (id),
    asset_id {uuid} NOT NULL REFERENCES assets (id),
    quantity {money} NOT NULL,
    reserved {money} NOT NULL DEFAULT '0',
    cost_basis {money} NOT NULL,
    realized {money} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (account_id, asset_id)
){updated_table};

-- Written by the statement that accepts orders, which holds the account's row lock: a foreign key would only repeat
-- that check, once for each order.
CREATE TABLE reservations (
    group_id {uuid} NOT NULL PRIMARY KEY,
    account_id {uuid} NOT NULL,
    currency {text},
    asset_id {uuid},
    remaining {money} NOT NULL,
    CHECK ((currency IS NULL) <> (asset_id IS NULL))
){queue_table};
