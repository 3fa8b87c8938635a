-- What a message of the input and of the output says, decided by PostgreSQL's own JSON, UTF-8,
-- double precision and numeric. Run in a session of its own; all is in pg_temp and goes with it.

-- The text of some bytes; NULL where they are not UTF-8. Text holds no U+0000: it becomes U+0001,
-- which JSON allows as little.
CREATE FUNCTION pg_temp.utf8(value bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(value, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire THEN
    IF position('\x00'::bytea IN value) = 0 THEN
        RETURN NULL;
    END IF;
    RETURN pg_temp.utf8(decode(
        replace(regexp_replace(encode(value, 'hex'), '(..)', '\1 ', 'g'), '00 ', '01 '), 'hex'));
END $$;

-- A text without its JSON strings: brackets and numbers are left.
CREATE FUNCTION pg_temp.without_strings(document text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(document, '"[^"\\]*(?:\\.[^"\\]*)*"', '', 'g')
$$;

-- Whether a JSON text has what the readers refuse: more than 500 levels, integers of more than
-- 4,300 digits.
CREATE FUNCTION pg_temp.is_excessive(document text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    bare text;
    brackets text;
BEGIN
    bare := pg_temp.without_strings(document);
    brackets := regexp_replace(bare, '[^][{}]+', '', 'g');
    RETURN length(brackets) > 500 AND (
        SELECT max(depth) > 500 FROM (
            SELECT sum(CASE WHEN bracket IN ('[', '{') THEN 1 ELSE -1 END) OVER (ORDER BY n) AS depth
            FROM string_to_table(brackets, NULL) WITH ORDINALITY AS each (bracket, n)
        ) AS depths
    ) OR length(document) > 4300 AND EXISTS (
        SELECT FROM regexp_split_to_table(bare, '[^0-9.eE+-]+') AS token
        WHERE length(token) > 4300 AND token ~ '^-?[0-9]+$' AND length(ltrim(token, '-')) > 4300
    );
END $$;

-- A JSON text as PostgreSQL takes it; NULL where it is none, also to readers of JSON that take
-- NaN, Infinity and -Infinity (they become null) and escapes of lone surrogates and of U+0000
-- (they become U+0001, which no StockCode may hold either).
CREATE FUNCTION pg_temp.document(given text) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    result text := given;
BEGIN
    -- Nowhere in JSON, so that two of them can serve as marks below.
    IF given ~ '[\u0001-\u0008\u000b\u000c\u000e-\u001f]'
        OR length(given) > 1000 AND pg_temp.is_excessive(given) THEN
        RETURN NULL;
    END IF;
    IF strpos(result, '\u') > 0 THEN
        -- Every escape that is all right is put between marks; of the others only the marks stay.
        result := regexp_replace(
            result,
            '(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})'
            '|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
            chr(2) || '\1' || chr(1), 'g');
        result := replace(result, chr(2) || chr(1), '\u0001');
        result := translate(result, chr(1) || chr(2), '');
    END IF;
    IF strpos(result, 'NaN') = 0 AND strpos(result, 'Infinity') = 0 THEN
        NULL;
    ELSIF result !~ '^(?:[^"]|"(?:[^"\\]|\\.)*")*"(?:[^"\\]|\\.)*(?:NaN|Infinity)' THEN
        -- None of them in a string, as the generator writes them: four times as fast.
        result := replace(result, 'NaN', 'null');
        result := replace(replace(result, '-Infinity', 'null'), 'Infinity', 'null');
    ELSE
        -- A mark after every string, and instead of every bare word.
        result := regexp_replace(
            result, '("[^"\\]*(?:\\.[^"\\]*)*")|-?Infinity|NaN', '\1' || chr(1), 'g');
        result := replace(result, '"' || chr(1), '"');
        result := replace(result, chr(1), 'null');
    END IF;
    RETURN CASE WHEN pg_input_is_valid(result, 'json') THEN result::json END;
END $$;

-- A JSON number as a double; NULL where it is too great. What is too small is 0.
CREATE FUNCTION pg_temp.double(number text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    mantissa text;
    digits text;
BEGIN
    IF pg_input_is_valid(number, 'float8') THEN
        RETURN number::float8;
    END IF;
    mantissa := ltrim(split_part(lower(number), 'e', 1), '-');
    digits := ltrim(replace(mantissa, '.', ''), '0');
    -- The exponent of the first digit that is not 0.
    RETURN CASE WHEN
        coalesce(nullif(split_part(lower(number), 'e', 2), ''), '0')::numeric
        + length(split_part(mantissa, '.', 1)) - length(replace(mantissa, '.', '')) + length(digits)
        <= 0 THEN 0 END;
END $$;

-- The shortest decimal that is read as this double. Where the shortest lies exactly between two
-- doubles PostgreSQL writes a longer one, other than Python; such are from 2^54 on only.
CREATE FUNCTION pg_temp.shortest(number float8) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written numeric := number::text::numeric;
    shorter numeric;
BEGIN
    FOR digits IN 1..16 LOOP
        shorter := round(written, digits - length(trunc(abs(written))::text));
        IF pg_temp.double(shorter::text) = number THEN
            RETURN shorter;
        END IF;
    END LOOP;
    RETURN written;
END $$;

-- A JSON number as a decimal: integers as they are, others as the shortest text of their double.
CREATE FUNCTION pg_temp.decimal(number text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN number ~ '^-?[0-9]+$' THEN number::numeric
        WHEN abs(pg_temp.double(number)) >= 2::float8 ^ 53 THEN
            pg_temp.shortest(pg_temp.double(number))
        ELSE pg_temp.double(number)::text::numeric
    END
$$;

-- A message of the input: why it is none (a reason of the dead letters), or what it says.
CREATE FUNCTION pg_temp.sale(
    value bytea,
    OUT reason text, OUT code text, OUT at float8, OUT epoch numeric, OUT amount numeric
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given text;
    document json;
    stock_code json;
    quantity json;
    price json;
    invoice_date json;
BEGIN
    IF coalesce(length(value), 0) = 0 THEN
        reason := 'empty';
        RETURN;
    END IF;
    given := pg_temp.utf8(value);
    IF given IS NULL THEN
        reason := 'not_utf8';
        RETURN;
    END IF;
    document := pg_temp.document(given);
    IF document IS NULL THEN
        reason := 'not_json';
        RETURN;
    END IF;
    IF json_typeof(document) <> 'object' THEN
        reason := 'not_an_object';
        RETURN;
    END IF;
    stock_code := document -> 'StockCode';
    quantity := document -> 'Quantity';
    price := document -> 'Price';
    invoice_date := document -> 'InvoiceDate';
    IF stock_code IS NULL OR quantity IS NULL OR price IS NULL OR invoice_date IS NULL THEN
        reason := 'missing_field';
        RETURN;
    END IF;
    code := CASE
        WHEN json_typeof(stock_code) = 'string' THEN stock_code #>> '{}'
        WHEN stock_code::text ~ '^-?[0-9]+$' THEN (stock_code::text)::numeric::text
    END;
    IF code IS NULL OR length(code) NOT BETWEEN 1 AND 128
        OR code ~ '[\u0001-\u001f\u007f-\u009f]' THEN
        reason := 'bad_stock_code';
        RETURN;
    END IF;
    IF json_typeof(quantity) <> 'number' OR json_typeof(price) <> 'number'
        OR json_typeof(invoice_date) <> 'number'
        OR pg_temp.decimal(quantity::text) IS NULL OR pg_temp.decimal(price::text) IS NULL
        OR pg_temp.decimal(invoice_date::text) IS NULL THEN
        reason := 'not_a_number';
        RETURN;
    END IF;
    amount := pg_temp.decimal(quantity::text) * pg_temp.decimal(price::text);
    epoch := pg_temp.decimal(invoice_date::text);
    at := pg_temp.double(invoice_date::text);
    IF amount * 1000000 <> trunc(amount * 1000000) THEN
        reason := 'too_precise';
    ELSIF amount * 1000000 NOT BETWEEN -9223372036854775808 AND 9223372036854775807 OR at IS NULL THEN
        reason := 'out_of_range';
    END IF;
END $$;

-- A message of the output: all NULL where it is none.
CREATE FUNCTION pg_temp.output(value bytea, OUT code text, OUT epoch numeric, OUT total numeric)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    document json := pg_temp.document(pg_temp.utf8(value));
BEGIN
    IF document IS NULL OR json_typeof(document) <> 'object'
        OR (SELECT string_agg(name, ',') FROM json_object_keys(document) AS name)
            <> 'StockCode,Epoch,10minutesSum'
        OR json_typeof(document -> 'StockCode') <> 'string'
        OR json_typeof(document -> 'Epoch') <> 'number'
        OR document ->> '10minutesSum' !~ '^-?(0|[1-9][0-9]*)\.([0-9]|[0-9]{1,5}[1-9])$'
        OR document ->> '10minutesSum' = '-0.0'
        OR json_typeof(document -> '10minutesSum') <> 'number' THEN
        RETURN;
    END IF;
    code := document ->> 'StockCode';
    epoch := pg_temp.decimal(document ->> 'Epoch');
    total := (document ->> '10minutesSum')::numeric;
END $$;
