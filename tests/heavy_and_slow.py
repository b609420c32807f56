"""Which tests are heavy or slow, and the order in which all run."""

from pathlib import Path

import pytest

HEAVY = {
    "browser/test_mending_and_promoting.py": "launches jobs in a real Dagster UI",
    "browser/test_library_status_page.py": "waits for a backfill of four assets in a real Dagster UI",
    "browser/test_pinned_searches.py": "compares and promotes models in a real Dagster UI",
    "browser/test_first_run_ui.py": "waits for sensors and for a scan that comes by the clock",
    "browser/test_materialize_all.py": "waits for a backfill of all assets, one after the other",
    "browser/test_runs_and_history.py": "kills and terminates runs in a real Dagster UI",
    "integration/test_backfill.py": "waits for a backfill of two models and then for the sensor",
    "integration/test_end_of_the_ui.py": "ends a Dagster UI twice, and waits for the run that goes on",
    "integration/test_power_cut.py": "starts Dagster twice, with a backfill in between",
    "integration/test_termination.py": "terminates a run in a real Dagster, and runs it again",
    "integration/test_upgrade.py": "a dozen runs in a real Dagster, each in a process of its own",
    "integration/test_wheel.py": "builds and installs the wheel, and runs the demo with it",
    "security/test_secrets.py": "a real Dagster UI with runs, ticks and a database that asks for a password",
}
"""Files of tests that only `make test-all` runs, and why; below tests/. Run them before a release."""

SLOW = {
    "assets": "executes Dagster jobs",
    "browser": "a real browser at a real Dagster UI",
    "cli": "commands that run the whole lineage, some in processes of their own",
    "demo": "draws the demo's 303 photos and embeds them with both demo models",
    "explain/test_answer.py": "builds a library for each state of a photo",
    "explain/test_in_search.py": "builds a library for each question",
    "faults": "kills processes, stops databases and fills disks",
    "integration": "the catalog's drifts, through Dagster",
    "contract/test_fix_trials.py": "makes a database for each fix of 300 random cases",
    "checks/test_stores.py": "damages a built library again and again",
    "models/test_hub_models.py": "loads models of the usual size",
    "models/test_openvino_encoder.py": "converts models to int8",
    "models/test_loading.py": "loads each model in several precisions",
    "models/test_text_encoder.py": "exports the text half of models",
    "orchestration": "executes Dagster jobs",
    "pins/test_judging.py": "searches with two models again and again",
    "pins/test_pin_pictures.py": "builds a library of two models",
    "schema_checks": "executes Dagster checks",
    "security/test_decompression_bombs.py": "decodes images of up to 200 megapixels",
    "security/test_model_files.py": "loads models from files with traps",
    "security/test_model_folders.py": "loads models from folders with traps",
    "security/test_own_server.py": "executes Dagster jobs",
    "security/test_paths.py": "runs every step of a changed library again and again",
    "security/test_printing.py": "builds a library with hostile names, and runs every command on it",
    "security/test_private_home.py": "commands in processes of their own",
    "security/test_real_servers.py": "starts a real Dagster UI and a plain `dagster dev`",
    "security/test_run_config.py": "executes Dagster jobs",
    "steps/test_compact.py": "kills processes that compact files",
    "steps/test_forget_source.py": "builds libraries on both databases, and forgets their sources",
    "steps/test_rename_source.py": "builds libraries on both databases, and renames their sources",
    "stores/vector_index/test_vector_index_kill.py": "kills processes at every step of an index",
    "test_definitions.py": "loads the definitions again and again",
    "upgrade/test_comparison.py": "compares two models again and again",
    "upgrade/test_promote.py": "promotes models of built libraries",
    "upgrade/test_retire.py": "retires models of built libraries",
    "workloads/test_crash_states.py": "lets workers fail at operations on files",
    "workloads/test_stateful.py": "lets 50 libraries live",
}
"""Folders and files of tests that `make test-quick` leaves out too, and why; below tests/."""


def mark_and_order(items: list[pytest.Item]) -> None:
    """Mark what is heavy or slow, and let it come first: a long file at the end would keep one worker alone.

    Heavy tests mostly wait for other processes. A heavy file is followed by three slow ones, so that workers compute in
    the meantime.
    """
    here = Path(__file__).parent
    if missing := [name for name in (*HEAVY, *SLOW) if not (here / name).exists()]:
        raise pytest.UsageError(
            f"HEAVY and SLOW in tests/heavy_and_slow.py name what is not there: {missing}"
        )
    for item in items:
        path = item.path.relative_to(here)
        names = {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
        if names & HEAVY.keys():
            item.add_marker("heavy")
        elif names & SLOW.keys():
            item.add_marker("slow")
    heavy, slow = (
        list(dict.fromkeys(item.path for item in items if kind in item.keywords))
        for kind in ("heavy", "slow")
    )
    place = {path: 4 * number for number, path in enumerate(heavy)}
    place |= {path: 4 * (number // 3) + 1 + number % 3 for number, path in enumerate(slow)}
    last = len(items)
    items.sort(key=lambda item: place.get(item.path, last))
