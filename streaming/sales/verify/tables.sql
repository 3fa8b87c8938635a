-- What one verification works on, one partition after the other. Offsets and timestamps are Kafka's.

-- Records as they came, of one batch.
CREATE TEMPORARY TABLE arrived (at_offset bigint, timestamp_ms bigint, key bytea, value bytea);

-- The inputs of one batch, decided. "wanted": of the range that is verified. "sure": nothing before
-- what was read can change the decision or the sum.
CREATE TEMPORARY TABLE decided (
    at_offset bigint, timestamp_ms bigint, reason text,
    code text COLLATE "C", at float8, epoch numeric, amount numeric,
    value_bytes bigint, digest text, wanted boolean, sure boolean
);

-- The accepted sales that can still be part of a sum.
CREATE TEMPORARY TABLE accepted (at_offset bigint, code text COLLATE "C", at float8, amount numeric);

-- For one batch: what was sold of a StockCode up to a time, before the batch; and within it.
CREATE TEMPORARY TABLE earlier (code text COLLATE "C", at float8, total numeric);
CREATE INDEX ON earlier (code, at) INCLUDE (total);
CREATE TEMPORARY TABLE latest (at_offset bigint, code text COLLATE "C", at float8, amount numeric);
CREATE INDEX ON latest (code, at) INCLUDE (at_offset, amount);

-- Outputs that must be there, and those that are there, until they have met. "total" is NULL where
-- the sum is not known; "required" is false where the output may be missing.
CREATE TEMPORARY TABLE expected (
    at_offset bigint, timestamp_ms bigint, code text COLLATE "C", epoch numeric,
    total numeric, required boolean
);
CREATE TEMPORARY TABLE found (
    at_offset bigint, timestamp_ms bigint, code text COLLATE "C", epoch numeric, total numeric,
    doubled boolean NOT NULL DEFAULT false
);
CREATE TEMPORARY TABLE matched (
    input bigint, output bigint, timestamp_ms bigint, code text COLLATE "C", epoch numeric,
    expected numeric, found numeric, required boolean
);

-- Dead letters of all partitions, by the record they are about.
CREATE TEMPORARY TABLE letters (
    partition integer, at_offset bigint, reason text, timestamp_ms bigint,
    value_bytes bigint, digest text, place text
);
CREATE INDEX ON letters (partition, at_offset);

CREATE TEMPORARY TABLE differences (
    kind text, partition integer, at_offset bigint, timestamp_ms bigint,
    code text, epoch numeric, expected text, found text
);
