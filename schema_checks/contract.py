"""The schema contract: a database holds exactly what the model says.

The model is not compared with the database. The database prints both: the model's schema is created on the
same server (SQLite: in memory; PostgreSQL: in a scratch schema that is rolled back), both are read by the
same catalog queries, and the two are compared object by object. Types, defaults and conditions so come out of
one parser and one printer, and nothing of the live schema is run or written.

On PostgreSQL the role needs CREATE on the database. A printed copy of the schema, kept with the code, would
need no such right, but it would be a second truth that grows old, and it would be the print of another server
version; so a role without the right is an error that names it.
"""

from dataclasses import replace

from sqlalchemy import Connection, MetaData

from schema_checks import postgresql_shadow, sqlite_shadow
from schema_checks.comparison import compare_schemas
from schema_checks.drift import Drift
from schema_checks.enumerations import in_the_words_of
from schema_checks.errors import UnsupportedDatabaseError
from schema_checks.model import Model, native_enums
from schema_checks.postgresql_fixes import PostgresqlFixes
from schema_checks.sqlite_fixes import SqliteFixes
from schema_checks.sqlite_tokens import fold


def compare(metadata: MetaData, connection: Connection) -> list[Drift]:
    """Every difference between the model and the live database, in the order in which fixes apply.

    Raises ContractError where the two cannot be compared; see `schema_checks.errors`.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite":
        model = Model(metadata, dialect, fold)
        live, shadow = sqlite_shadow.read_live_and_shadow(metadata, connection)
        fixes: SqliteFixes | PostgresqlFixes = SqliteFixes(model, shadow, live)
    elif dialect.name == "postgresql":
        model = Model(metadata, dialect, str)
        enums = native_enums(metadata, dialect)
        live, shadow = postgresql_shadow.read_live_and_shadow(metadata, enums, connection)
        live = in_the_words_of(shadow, live, enums)
        fixes = PostgresqlFixes(model, enums, shadow, live)
    else:
        raise UnsupportedDatabaseError(
            f"The contract reads SQLite and PostgreSQL; this connection's dialect is {dialect.name!r}."
        )
    findings = compare_schemas(shadow, live, model)
    return [replace(finding.drift, fix=fixes.fix(finding)) for finding in findings]
