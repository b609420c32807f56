"""`photolineage check`, `migrate` and `repair`: check the catalog and the files, upgrade the catalog, repair both."""

from typing import Annotated

import typer

from photolineage.catalog.engine import explained_errors, reading, require_reachable
from photolineage.cli.app import AsJson, app, chosen_settings, reported_errors
from photolineage.cli.terminal import console, linked, print_json, shown, table
from photolineage.stores.files import open_files
from photolineage.stores.identity import attach_store, require_own_store


@app.command()
def check(as_json: AsJson = False) -> None:
    """Compare the catalog's schema with the code, and the stored files with the catalog."""
    from photolineage.checks.library import check_library

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = settings.catalog.open_engine()
        require_reachable(engine)
        findings = check_library(settings, engine)
    failed = [finding for finding in findings if not finding.passed]
    if as_json:
        print_json({"passed": not failed, "checks": findings})
    else:
        console.print(
            table(
                "Checks",
                ["check", "result", "finding"],
                [(f.name, "passed" if f.passed else "FAILED", f.description) for f in findings],
            )
        )
    if failed:
        raise typer.Exit(1)


Backup = Annotated[
    bool,
    typer.Option(
        "--i-have-a-backup", help="Confirm that a backup exists. Required to change a PostgreSQL catalog."
    ),
]


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")] = False,
    i_have_a_backup: Backup = False,
    as_json: AsJson = False,
) -> None:
    """Upgrade the catalog to the newest schema revision. A SQLite catalog is backed up first."""
    from photolineage.catalog.migrate import require_current
    from photolineage.catalog.migration_plan import apply_migration, plan_migration
    from photolineage.stores.root_folder import RootFolder

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = settings.catalog.open_engine()
        require_reachable(engine)
        backup = None
        with explained_errors(engine):
            with reading(engine) as connection:
                require_own_store(connection, open_files(settings))
            plan = plan_migration(engine)
            if not dry_run:
                backups = RootFolder(settings.home).inner("backups")
                backup = apply_migration(engine, backups, has_backup=i_have_a_backup)
                require_current(engine)
                attach_store(engine, open_files(settings))
    before = plan.revision
    if as_json:
        print_json(
            {
                "before": before.found,
                "revision": before.wanted,
                "dry_run": dry_run,
                "sql": plan.sql,
                "backup": backup,
            }
        )
    elif before.is_current:
        console.print(shown(f"Already up to date (revision {before.wanted})."))
    elif dry_run:
        console.print(shown(plan.sql), soft_wrap=True)
    else:
        console.print(
            shown(f"Migrated from {before.found or 'an empty database'} to revision {before.wanted}.")
        )
        if backup is not None:
            console.print("Backup:", linked(backup))


@app.command()
def repair(
    apply: Annotated[
        bool, typer.Option("--apply", help="Repair. Without this option, the repairs are only listed.")
    ] = False,
    allow_data_loss: Annotated[
        bool, typer.Option("--allow-data-loss", help="Also apply the fixes of the catalog that lose data.")
    ] = False,
    i_have_a_backup: Backup = False,
    as_json: AsJson = False,
) -> None:
    """Fix the catalog's tables, rebuild indexes of a wrong shape, and make lost files due."""
    from datetime import timedelta

    from photolineage.checks.repair import plan_repair, repair_library, rows
    from photolineage.steps.jobs import JobContext

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = settings.catalog.open_engine()
        require_reachable(engine)
        with reading(engine) as connection:
            require_own_store(connection, open_files(settings))
        if apply:
            timeout = timedelta(seconds=settings.lease_timeout_seconds)
            report = repair_library(
                JobContext(engine, "photolineage-repair", timeout),
                settings,
                has_backup=i_have_a_backup,
                allow_data_loss=allow_data_loss,
            )
        else:
            report = plan_repair(engine, settings, allow_data_loss=allow_data_loss)
    if as_json:
        print_json({"applied": apply, "backup": report.backup, "repairs": report.repairs})
    elif not report.repairs:
        console.print("There is nothing to repair.")
    else:
        columns = ["what", "where", "how", "outcome"]
        console.print(table("Repairs", columns, [tuple(row.values()) for row in rows(report.repairs)]))
        if report.backup is not None:
            console.print("Backup:", linked(report.backup))
        if not apply:
            console.print("Nothing was changed yet: add --apply.")
    if report.failed:
        raise typer.Exit(1)
