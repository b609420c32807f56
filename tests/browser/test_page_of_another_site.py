"""A page of another site, shown by a real browser on this machine, can do nothing with the running Dagster UI."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.lineage import Lineage
from workloads.dagster_ui import running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser


LAUNCH = """mutation { launchPipelineExecution(executionParams: {selector: {pipelineName: "check_contract",
repositoryName: "__repository__", repositoryLocationName: "photolineage"}, mode: "default"}) { __typename } }"""

ATTACK = """<!doctype html><title>holiday pictures</title>
<img src="{ui}/graphql?query={query}">
<form method="post" enctype="text/plain" action="{ui}/graphql" target="frame">
<input name='{{"query": "{spaced}", "a": "' value='"}}'></form><iframe name="frame"></iframe>
<script>
window.outcomes = [];
const note = (promise) => promise.then(() => "sent", () => "failed").then((o) => window.outcomes.push(o));
const body = JSON.stringify({{query: {json_query}}});
note(fetch("{ui}/graphql", {{method: "POST", mode: "no-cors", headers: {{"content-type": "text/plain"}}, body}}));
note(fetch("{ui}/graphql", {{method: "POST", headers: {{"content-type": "application/json"}}, body}}));
note(fetch("{ui}/graphql?query={query}", {{mode: "no-cors"}}));
const socket = new WebSocket("{socket}/graphql", "graphql-ws");
socket.onopen = () => window.outcomes.push("socket open");
socket.onclose = () => window.outcomes.push("socket closed");
document.forms[0].submit();
</script>"""


@contextmanager
def site(page: str) -> Iterator[str]:
    """Another site: the address of a server that answers with this page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_of_another_site_starts_no_run(lineage: Lineage, browser: "Browser", tmp_path: Path) -> None:
    with running_ui(lineage.config_file, tmp_path / "ui.log") as ui:
        before = len(ui.runs())
        attack = ATTACK.format(
            ui=ui.url,
            socket=ui.url.replace("http", "ws", 1),
            query=quote(LAUNCH),
            spaced=" ".join(LAUNCH.split()).replace('"', "&quot;"),
            json_query=f"`{LAUNCH}`",
        )
        with site(attack) as address:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_function("window.outcomes.length === 4", timeout=60_000)
            outcomes = page.evaluate("window.outcomes")
            page.wait_for_timeout(2_000)
            page.close()
        assert sorted(outcomes) == ["failed", "sent", "sent", "socket closed"]
        assert len(ui.runs()) == before

        # A name that its owner lets resolve to this machine (DNS rebinding) is another site as well.
        rebound = browser.browser_type.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--host-resolver-rules=MAP photos.attacker.example 127.0.0.1",
            ],
        )
        page = rebound.new_page()
        answer = page.goto(f"http://photos.attacker.example:{ui.url.rpartition(':')[2]}/assets")
        assert answer is not None
        assert answer.status == 403
        rebound.close()

        # The same browser shows the UI under its own name, and the UI works.
        page = browser.new_page()
        page.goto(f"{ui.url}/assets")
        page.get_by_text("source_files").first.wait_for(timeout=60_000)
        page.close()
        assert ui.run_job("check_contract", None, {}, seconds=120) == "SUCCESS"
