-- transactions/ledger/engine/schema.sql as it was first installed: what an upgrade finds.
CREATE SCHEMA IF NOT EXISTS stockroom_ledger;

-- Sums of the transactions that have been added up.
CREATE TABLE IF NOT EXISTS stockroom_ledger.totals (
    provider_id bigint PRIMARY KEY,
    total numeric NOT NULL,
    transactions bigint NOT NULL
);

-- Ids of historical_transactions that have not: ranges with both ends, which never meet. At first
-- all; each row that is added up splits the one it lies in. So a row that commits late, or takes an
-- id that was left free, is found wherever it stands.
CREATE TABLE IF NOT EXISTS stockroom_ledger.unsummed (
    first bigint PRIMARY KEY,
    last bigint NOT NULL CHECK (last >= first)
);
INSERT INTO stockroom_ledger.unsummed
    SELECT -9223372036854775808, 9223372036854775807
    WHERE NOT EXISTS (SELECT FROM stockroom_ledger.unsummed);

-- The batches that were inserted last, with the digests (32 bytes each) of their messages in order,
-- by which they are recognized if they come again, and the receipt they are acknowledged with.
CREATE TABLE IF NOT EXISTS stockroom_ledger.batches (
    number bigserial PRIMARY KEY,
    receipt text NOT NULL UNIQUE,
    digests bytea NOT NULL,
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which table was added up: one that is made anew is added up anew.
CREATE TABLE IF NOT EXISTS stockroom_ledger.summed (
    table_oid oid PRIMARY KEY
);

-- Keys that KeyDB may have of us, so that those of providers that are gone can be taken away. The
-- index is of a digest, since a name may be longer than one can hold.
CREATE TABLE IF NOT EXISTS stockroom_ledger.written_keys (
    key text NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS written_keys_key ON stockroom_ledger.written_keys (md5(key));

-- Message ids of rows, for messages that have one.
CREATE TABLE IF NOT EXISTS stockroom_ledger.inbox (
    message_id text PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS inbox_received_at ON stockroom_ledger.inbox (received_at);

CREATE TABLE IF NOT EXISTS stockroom_ledger.rejects (
    id bigserial PRIMARY KEY,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    detail text NOT NULL,
    body bytea NOT NULL,
    body_bytes bigint NOT NULL,
    message_id text
);
CREATE INDEX IF NOT EXISTS rejects_message_id ON stockroom_ledger.rejects (message_id, rejected_at)
    WHERE message_id IS NOT NULL;

-- One row for each full minute that was to be written.
CREATE TABLE IF NOT EXISTS stockroom_ledger.runs (
    minute timestamptz PRIMARY KEY,
    written_at timestamptz,
    lateness_seconds double precision,
    duration_seconds double precision,
    new_rows bigint NOT NULL DEFAULT 0,
    providers integer NOT NULL DEFAULT 0,
    failure text NOT NULL DEFAULT ''
);

-- What each minute has shown.
CREATE TABLE IF NOT EXISTS stockroom_ledger.balances (
    minute timestamptz NOT NULL,
    provider_id bigint NOT NULL,
    key text NOT NULL,
    balance numeric NOT NULL,
    PRIMARY KEY (minute, provider_id)
);
CREATE INDEX IF NOT EXISTS balances_provider ON stockroom_ledger.balances (provider_id, minute);

-- What each look at the sums from scratch has found; `drifts` counts them, `drift` holds the first
-- of them: {"totals": [{"provider", "key", "kept", "right", "kept_transactions",
-- "right_transactions"}], "keydb": [{"key", "found", "right"}], "minute": of KeyDB's balances or
-- null, "lost_ids", "double_ids", "repeated_providers": [{"name", "ids"}],
-- "repeated_transactions": [[id, id, id]], "notes": [text]}; amounts are text, `found` may be null.
CREATE TABLE IF NOT EXISTS stockroom_ledger.reconciliations (
    at timestamptz PRIMARY KEY,
    seconds double precision NOT NULL,
    transactions bigint NOT NULL DEFAULT 0,
    drifts bigint NOT NULL DEFAULT 0,
    drift jsonb NOT NULL DEFAULT '{}',
    repaired boolean NOT NULL DEFAULT false,
    failure text NOT NULL DEFAULT ''
);
