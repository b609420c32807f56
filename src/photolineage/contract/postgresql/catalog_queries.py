"""The catalog queries. Each takes `schemas`, a list of schema names, and leaves out what extensions own.

The server prints the definitions (`format_type`, `pg_get_expr`, `pg_get_constraintdef`, `pg_get_indexdef`), so
equal objects have equal definitions.
"""

RELATIONS = """
SELECT n.nspname AS schema, c.relname AS relation, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       c.reloptions::text[] AS storage, c.relrowsecurity AS row_security, a.amname AS access_method,
       pg_get_partkeydef(c.oid) AS partition_key, obj_description(c.oid, 'pg_class') AS comment,
       c.relispartition OR EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid) AS child,
       (SELECT string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno) FROM pg_inherits AS h
        WHERE h.inhrelid = c.oid) AS parents,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_am AS a ON a.oid = c.relam
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend AS e
                  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname
"""

COLUMNS = """
SELECT n.nspname AS schema, c.relname AS relation, a.attname AS name,
       format_type(a.atttypid, NULL) AS type, format_type(a.atttypid, a.atttypmod) AS full_type,
       a.attnotnull AS not_null, a.attidentity::text AS identity, a.attgenerated::text AS generated,
       pg_get_expr(d.adbin, d.adrelid) AS expression, col_description(c.oid, a.attnum) AS comment,
       CASE WHEN a.attcollation <> t.typcollation THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
       END AS collation,
       en.nspname AS enum_schema, e.typname AS enum,
       CASE WHEN t.typtype = 'd' THEN
         format_type(t.typbasetype, t.typtypmod)
         || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
         || coalesce(' DEFAULT ' || t.typdefault, '')
         || coalesce((SELECT string_agg(' ' || pg_get_constraintdef(k.oid), '' ORDER BY k.conname)
                      FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
       END AS domain,
       EXISTS (SELECT FROM pg_constraint AS k
               WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]
                 AND NOT k.convalidated) AS not_null_unproven
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_type AS e ON e.typtype = 'e' AND e.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END
LEFT JOIN pg_namespace AS en ON en.oid = e.typnamespace
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY n.nspname, c.relname, a.attnum
"""

CONSTRAINTS = """
SELECT n.nspname AS schema, c.relname AS relation, k.conname AS name, k.contype::text AS kind,
       pg_get_constraintdef(k.oid) AS definition, k.convalidated AS proven,
       obj_description(k.oid, 'pg_constraint') AS comment,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
             ORDER BY u.place)::text[] AS columns,
       fn.nspname AS target_schema, f.relname AS target,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
             ORDER BY u.place)::text[] AS target_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS f ON f.oid = k.confrelid
LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND k.contype IN ('p', 'u', 'x', 'f', 'c')
  AND NOT (k.contype = 'f' AND k.conparentid <> 0)
ORDER BY n.nspname, c.relname, k.conname
"""

INDEXES = """
SELECT n.nspname AS schema, c.relname AS relation, x.relname AS name, i.indisunique AS is_unique,
       pg_get_indexdef(x.oid) AS definition, i.indisvalid AS valid,
       ARRAY(SELECT DISTINCT a.attname FROM pg_depend AS d
             JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
             ORDER BY a.attname)::text[] AS columns
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(CAST(:schemas AS text[]))
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x'))
ORDER BY n.nspname, c.relname, x.relname
"""

ENUMS = """
SELECT n.nspname AS schema, t.typname AS relation, e.enumlabel AS value
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_enum AS e ON e.enumtypid = t.oid
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND t.typtype = 'e'
  AND NOT EXISTS (SELECT FROM pg_depend AS e
                  WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
ORDER BY n.nspname, t.typname, e.enumsortorder
"""

SEQUENCES = """
SELECT n.nspname AS schema, c.relname AS relation, format_type(s.seqtypid, NULL) AS type,
       s.seqstart AS start, s.seqincrement AS increment, s.seqmin AS minimum, s.seqmax AS maximum,
       s.seqcache AS cache, s.seqcycle AS cycle,
       tn.nspname AS owner_schema, tc.relname AS owner_table, a.attname AS owner_column
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class AS tc ON tc.oid = d.refobjid
LEFT JOIN pg_namespace AS tn ON tn.oid = tc.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE n.nspname = ANY(CAST(:schemas AS text[]))
  AND NOT EXISTS (SELECT FROM pg_depend AS e
                  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname
"""

TRIGGERS = """
SELECT n.nspname AS schema, c.relname AS relation, g.tgname AS name, pg_get_triggerdef(g.oid) AS definition,
       CASE WHEN l.lanname NOT IN ('c', 'internal') THEN p.prosrc END AS body, g.tgenabled::text AS enabled
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_language AS l ON l.oid = p.prolang
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND NOT g.tgisinternal
ORDER BY n.nspname, c.relname, g.tgname
"""

VERSION = """
WITH s AS (SELECT oid FROM pg_namespace WHERE nspname = ANY(CAST(:schemas AS text[])))
SELECT (SELECT sum(hashtext(c.oid::text || ' ' || c.xmin::text)) FROM pg_class AS c
        WHERE c.relnamespace IN (SELECT oid FROM s)) AS relations,
       (SELECT sum(hashtext(a.attnum::text || ' ' || a.xmin::text))
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace IN (SELECT oid FROM s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS columns,
       (SELECT sum(hashtext(k.oid::text || ' ' || k.xmin::text)) FROM pg_constraint AS k
        WHERE k.connamespace IN (SELECT oid FROM s)) AS constraints,
       (SELECT sum(hashtext(t.oid::text || ' ' || t.xmin::text)) FROM pg_type AS t
        WHERE t.typnamespace IN (SELECT oid FROM s)) AS types
"""
"""Changes when a table, column, constraint, index or type of the schemas is made, changed or dropped."""

QUERIES = (RELATIONS, COLUMNS, CONSTRAINTS, INDEXES, ENUMS, SEQUENCES, TRIGGERS)
