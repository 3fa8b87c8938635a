"""Moves the whole table of products aside, into a schema of its own, and back. See delete_all.py.

A move costs the same with millions of rows as with none. The new table has to be like the
old one in all that a migration may have given it; `differences` says where it is not.
"""

from typing import Any

from django.db import connection, transaction

TABLE = "products_product"

# Of a table's columns and what goes with them; all of it independent of its schema.
DESCRIPTION = {
    "table": """
        SELECT relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
               pg_get_userbyid(relowner), reloptions, obj_description(c.oid),
               (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid)
        FROM pg_class c WHERE c.oid = %(table)s""",
    "rights": """
        SELECT 0, pg_get_userbyid(grantee), privilege_type, is_grantable
        FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner)))
        WHERE c.oid = %(table)s
        UNION ALL
        SELECT attnum, pg_get_userbyid(grantee), privilege_type, is_grantable
        FROM pg_attribute, aclexplode(attacl) WHERE attrelid = %(table)s
        ORDER BY 1, 2, 3""",
    "columns": """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               a.attgenerated, a.attstorage, a.attcompression, a.attstattarget, a.attoptions,
               pg_get_expr(d.adbin, d.adrelid), l.collname, col_description(a.attrelid, a.attnum)
        FROM pg_attribute a
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        WHERE a.attrelid = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum""",
    "sequence": """
        SELECT c.relname, d.deptype, a.attname, s.seqtypid::regtype::text, s.seqstart,
               s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence,
               c.relnamespace = t.relnamespace
        FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
        JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        JOIN pg_sequence s ON s.seqrelid = c.oid
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.refobjid = %(table)s ORDER BY 1""",
    "constraints": """
        SELECT conname, contype, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE conrelid = %(table)s ORDER BY 1""",
    "indexes": """
        SELECT i.relname, replace(pg_get_indexdef(i.oid),
                   ' ON ' || quote_ident(n.nspname) || '.', ' ON '),
               x.indisprimary, x.indisclustered, x.indisreplident, obj_description(i.oid),
               ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = i.oid ORDER BY attnum)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_namespace n ON n.oid = i.relnamespace
        WHERE x.indrelid = %(table)s ORDER BY 1""",
    "statistics": """
        SELECT stxkind, stxkeys::text, stxstattarget, pg_get_statisticsobjdef_columns(oid)
        FROM pg_statistic_ext WHERE stxrelid = %(table)s ORDER BY 4, 1""",
    "triggers": """
        SELECT tgname FROM pg_trigger WHERE tgrelid = %(table)s AND NOT tgisinternal ORDER BY 1""",
    "policies": "SELECT polname FROM pg_policy WHERE polrelid = %(table)s ORDER BY 1",
    "publications": "SELECT prpubid FROM pg_publication_rel WHERE prrelid = %(table)s ORDER BY 1",
    "heirs": """
        SELECT inhrelid, inhparent FROM pg_inherits
        WHERE inhrelid = %(table)s OR inhparent = %(table)s ORDER BY 1""",
    "references": """
        SELECT conname FROM pg_constraint WHERE confrelid = %(table)s ORDER BY 1""",
    "views and rules": """
        SELECT DISTINCT r.rulename, r.ev_class::regclass::text FROM pg_rewrite r
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s ORDER BY 1""",
}


def describe(oid: int) -> dict[str, list[tuple]]:
    """All that makes a table what it is, besides its rows and its schema."""
    with connection.cursor() as cursor:
        found = {}
        for what, statement in DESCRIPTION.items():
            cursor.execute(statement, {"table": oid})
            found[what] = cursor.fetchall()
    return found


def differences(one: int, other: int, *, apart_from: str = "") -> list[str]:
    """What two tables (oids) do not have in common: ["triggers"]; empty when they are alike.

    `apart_from`: the name of an index that only one of them may have.
    """
    first, second = describe(one), describe(other)
    for found in (first, second):
        found["indexes"] = [index for index in found["indexes"] if index[0] != apart_from]
    return [what for what in DESCRIPTION if first[what] != second[what]]


def oid_of(schema: str = "") -> int:
    """Of the table in this schema; without one, of the table in use."""
    name = f"{schema}.{TABLE}" if schema else TABLE
    return _value("SELECT %s::regclass::oid", name)


def is_empty() -> bool:
    """Whether the table in use has no rows."""
    return not _value(f"SELECT EXISTS (SELECT FROM {TABLE})")


def count(schema: str) -> int:
    """The rows of a kept table, exactly."""
    return _value(f"SELECT count(*) FROM {schema}.{TABLE}")


def greatest_id(schema: str) -> int:
    """The greatest id of a kept table, 0 when it is empty."""
    return _value(f"SELECT coalesce(max(id), 0) FROM {schema}.{TABLE}")


def shared_columns(schema: str) -> list[str]:
    """The columns that a kept table and the one in use both have, without computed ones."""
    columns = (
        "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = ''"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{columns} INTERSECT {columns} ORDER BY 1", [oid_of(), oid_of(schema)])
        return [name for (name,) in cursor.fetchall()]


def move_aside(schema: str) -> None:
    """Keep the table with all its rows in the new `schema`; an empty one takes its place.

    Called under ACCESS EXCLUSIVE. Ids go on where they were. Where something depends on this very
    table (a view, a trigger, which a database's owner may have added) its rows are copied instead,
    which takes longer.
    """
    _run(f"CREATE SCHEMA {schema}")
    with transaction.atomic():
        old = oid_of()
        home = _home(old)
        _run(f"ALTER TABLE {TABLE} SET SCHEMA {schema}")
        _create_like(old, f"{schema}.{TABLE}", f"{home}.{TABLE}")
        _continue_ids(f"{schema}.{TABLE}", f"{home}.{TABLE}")
        if not differences(old, oid_of()):
            return
        transaction.set_rollback(True)
    _run(f"CREATE TABLE {schema}.{TABLE} AS TABLE {TABLE}")
    _run(f"ALTER TABLE {schema}.{TABLE} ADD PRIMARY KEY (id)")
    _run(f"TRUNCATE {TABLE}")


def move_back(schema: str) -> None:
    """Put the kept table in the place of the one in use, which is empty and goes."""
    home = _home(oid_of())
    _continue_ids(f"{home}.{TABLE}", f"{schema}.{TABLE}")
    _run(f"DROP TABLE {home}.{TABLE}")
    _run(f"ALTER TABLE {schema}.{TABLE} SET SCHEMA {home}")
    _run(f"DROP SCHEMA {schema}")


def drop(schema: str) -> None:
    """Let go of a kept table. A schema that somebody has put more into stays, with an error."""
    _run(f"DROP TABLE IF EXISTS {schema}.{TABLE}")
    _run(f"DROP SCHEMA IF EXISTS {schema}")


def _create_like(old: int, source: str, target: str) -> None:
    _run(f"CREATE TABLE {target} (LIKE {source} INCLUDING ALL EXCLUDING INDEXES)")
    for statement in _what_like_forgets(old, target):
        _run(statement)


def _what_like_forgets(old: int, target: str) -> list[str]:
    """Statements for a new table: indexes, statistics, storage parameters, owner and rights."""
    home = target.rpartition(".")[0]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('ALTER TABLE {0} ADD CONSTRAINT %%I %%s', conname,
                          pg_get_constraintdef(oid))
            FROM pg_constraint WHERE conrelid = %(table)s AND contype IN ('p', 'u', 'x')
            UNION ALL
            SELECT replace(pg_get_indexdef(indexrelid),
                           ' ON ' || c.relnamespace::regnamespace || '.' || quote_ident(c.relname),
                           ' ON {0}')
            FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
            WHERE indrelid = %(table)s AND NOT EXISTS (
                SELECT FROM pg_constraint
                WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
            UNION ALL
            SELECT format('ALTER INDEX {1}.%%I ALTER COLUMN %%s SET STATISTICS %%s',
                          i.relname, a.attnum, a.attstattarget)
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            JOIN pg_attribute a ON a.attrelid = i.oid AND a.attstattarget IS NOT NULL
            WHERE indrelid = %(table)s
            UNION ALL
            SELECT 'ALTER TABLE {0} SET (' || prefix || option || ')'
            FROM (
                SELECT '' AS prefix, unnest(reloptions) AS option
                FROM pg_class WHERE oid = %(table)s
                UNION ALL
                SELECT 'toast.', unnest(t.reloptions)
                FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = %(table)s
            ) options
            UNION ALL
            SELECT format('ALTER TABLE {0} ALTER %%I SET STATISTICS %%s', attname, attstattarget)
            FROM pg_attribute
            WHERE attrelid = %(table)s AND attnum > 0 AND NOT attisdropped
              AND attstattarget IS NOT NULL
            UNION ALL
            SELECT format('ALTER TABLE {0} ALTER %%I SET (%%s)', attname,
                          array_to_string(attoptions, ','))
            FROM pg_attribute
            WHERE attrelid = %(table)s AND attnum > 0 AND NOT attisdropped
              AND attoptions IS NOT NULL
            UNION ALL
            SELECT format('ALTER TABLE {0} OWNER TO %%I', pg_get_userbyid(relowner))
            FROM pg_class WHERE oid = %(table)s AND pg_get_userbyid(relowner) <> current_user
            UNION ALL
            SELECT format('GRANT %%s ON {0} TO %%s%%s', privilege_type,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
            FROM pg_class c, aclexplode(relacl)
            WHERE c.oid = %(table)s AND grantee <> relowner
            UNION ALL
            SELECT format('GRANT %%s (%%I) ON {0} TO %%s%%s', privilege_type, attname,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
            FROM pg_attribute, aclexplode(attacl) WHERE attrelid = %(table)s
            """.replace("{0}", target.replace("%", "%%")).replace("{1}", home.replace("%", "%%")),
            {"table": old},
        )
        return [statement for (statement,) in cursor.fetchall()]


def _continue_ids(source: str, target: str) -> None:
    """Ids of the `target` table go on after those of `source`: none is ever used again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_serial_sequence(%s, 'id'), pg_get_serial_sequence(%s, 'id')",
            [source, target],
        )
        before, after = cursor.fetchone()
        cursor.execute(f"SELECT last_value, is_called FROM {before}")
        cursor.execute("SELECT setval(%s, %s, %s)", [after, *cursor.fetchone()])


def _home(oid: int) -> str:
    return _value(
        "SELECT quote_ident(nspname) FROM pg_namespace n"
        " JOIN pg_class c ON c.relnamespace = n.oid WHERE c.oid = %s",
        oid,
    )


def _value(statement: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
