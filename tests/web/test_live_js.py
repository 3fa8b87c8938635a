"""A page's side of live state (templates/static/live.js), in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from config import live
from tests.browsing import PATIENCE_MS

from .conftest import Site
from .servers import Server, until

pytestmark = pytest.mark.browser

# Every EventSource that the page makes, and a switch to hide the page.
INSTRUMENTS = """
window.sources = [];
const Real = window.EventSource;
window.EventSource = class extends Real {
  constructor(url) { super(url); sources.push(this); }
};
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
# A stream that opens and then never says anything, as behind a proxy that holds it back.
MUTE = """
() => {
  window.EventSource = class extends EventTarget {
    static OPEN = 1; static CLOSED = 2;
    readyState = 1;
    close() { this.readyState = 2; }
  };
}
"""
FOLLOW = """
async (options) => {
  const { live } = await import("/static/live.js");
  window.states = []; window.statuses = []; window.notes = []; window.reading = 0;
  window.followed = live("import-7", {
    onSnapshot: (state) => states.push(state),
    fetchState: async () => {
      window.reading += 1;
      try {
        const answer = await fetch("/state");
        if (!answer.ok) throw new Error(answer.status);
        return await answer.json();
      } finally {
        window.reading -= 1;
      }
    },
    onStatus: (status) => statuses.push(status),
    onEvent: { note: (data) => notes.push(data) },
    ...options,
  });
}
"""


class Viewed:
    """A page that follows import-7; `state` is what its REST address answers."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.state: dict | None = {"number": 0}
        self.reads = 0
        page.route("**/state", self._answer)

    def _answer(self, route: Route) -> None:
        self.reads += 1
        if self.state is None:
            route.abort()
        else:
            route.fulfill(json=self.state)

    def follow(self, **options: float) -> None:
        self.page.evaluate(FOLLOW, options)

    def follow_until_quiet(self, **options: float) -> None:
        """Until the stream is open and nothing is read any more: a slow one is polled at first."""
        self.follow(**options)
        self.wait_for('followed.status === "live" && reading === 0')

    def wait_for(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {expression}")

    def wait_for_state(self, number: int) -> None:
        self.wait_for(f"states.at(-1)?.number === {number}")


@pytest.fixture
def viewed(chromium: Browser, web_server: Server, site: Site) -> Iterator[Viewed]:
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MS)
    name, _, value = site.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": web_server.url}])
    page = context.new_page()
    page.add_init_script(INSTRUMENTS)
    page.goto(f"{web_server.url}/account/")
    yield Viewed(page)
    context.close()


def test_it_reads_the_state_and_then_follows_the_stream(viewed: Viewed) -> None:
    viewed.follow_until_quiet()
    viewed.wait_for_state(0)
    live.publish("import-7", {"number": 1})
    viewed.wait_for_state(1)
    live.publish("import-7", {"text": "hello"}, event="note")
    viewed.wait_for('notes.at(-1)?.text === "hello"')
    assert viewed.page.evaluate('statuses.slice(statuses.indexOf("live"))') == ["live"]
    assert viewed.page.evaluate("sources.length") == 1


def test_it_reads_again_after_a_reset(viewed: Viewed) -> None:
    viewed.follow_until_quiet()
    viewed.state = {"number": 5}
    live.publish("import-7", {}, event="stream-reset")
    viewed.wait_for_state(5)


def test_it_reads_again_when_only_keep_alives_come(viewed: Viewed) -> None:
    """The last event of all may be the one that was lost."""
    viewed.follow(quietSeconds=1)
    viewed.wait_for_state(0)
    viewed.state = {"number": 6}
    viewed.wait_for_state(6)
    assert viewed.page.evaluate("followed.status") == "live"


def test_what_came_by_the_stream_is_newer_than_an_answer_on_its_way(viewed: Viewed) -> None:
    held: list[Route] = []
    viewed.page.route("**/state", lambda route: held.append(route))
    viewed.follow()
    viewed.wait_for('statuses.at(-1) === "live"')
    live.publish("import-7", {"number": 9})
    viewed.wait_for_state(9)
    assert held
    for route in held:
        route.fulfill(json={"number": 8})
    live.publish("import-7", {"last": 1}, event="note")
    viewed.wait_for("notes.length === 1")
    assert [state["number"] for state in viewed.page.evaluate("states")] == [9]


def test_it_polls_where_streams_are_blocked(viewed: Viewed) -> None:
    viewed.page.route("**/events/**", lambda route: route.abort())
    viewed.follow(pollSeconds=0.2)
    viewed.wait_for('followed.status === "polling"')
    viewed.state = {"number": 3}
    viewed.wait_for_state(3)

    viewed.state = None
    viewed.wait_for('followed.status === "offline"')
    viewed.page.unroute("**/events/**")
    viewed.state = {"number": 4}
    viewed.wait_for('followed.status === "live"')
    viewed.wait_for_state(4)


def test_it_polls_while_the_stream_is_silent(viewed: Viewed) -> None:
    viewed.page.evaluate(MUTE)
    viewed.follow(pollSeconds=0.2, silentSeconds=0.5)
    viewed.state = {"number": 2}
    viewed.wait_for('followed.status === "polling"')
    viewed.wait_for_state(2)


def test_it_tries_a_refused_stream_again(viewed: Viewed) -> None:
    viewed.page.route("**/events/**", lambda route: route.fulfill(status=401, json={}))
    viewed.follow(pollSeconds=0.2, reopenSeconds=0.5)
    viewed.wait_for('followed.status === "polling"')
    viewed.page.unroute("**/events/**")
    viewed.wait_for('followed.status === "live"')


def test_a_hidden_tab_holds_no_stream(viewed: Viewed, web_server: Server) -> None:
    viewed.follow_until_quiet(pollSeconds=0.1)
    viewed.page.evaluate("hide(true)")
    assert viewed.page.evaluate("sources.map((s) => s.readyState)") == [2]
    reads = viewed.reads
    viewed.page.wait_for_timeout(300)
    assert viewed.reads == reads

    viewed.state = {"number": 7}
    viewed.page.evaluate("hide(false)")
    viewed.wait_for_state(7)
    assert viewed.page.evaluate("sources.map((s) => s.readyState)") == [2, 1]


def test_it_ends_for_good(viewed: Viewed) -> None:
    viewed.follow_until_quiet(pollSeconds=0.1)
    viewed.page.evaluate("followed.close()")
    viewed.page.evaluate("hide(false)")
    reads = viewed.reads
    viewed.page.wait_for_timeout(300)
    assert viewed.reads == reads
    assert viewed.page.evaluate("sources.map((s) => s.readyState)") == [2]


def test_it_comes_back_when_the_server_does(chromium: Browser, site: Site) -> None:
    """A new version is rolled out: the old process ends its streams, the next one serves."""
    with Server(environment=site.environment) as server:
        context = chromium.new_context()
        context.set_default_timeout(PATIENCE_MS)
        name, _, value = site.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = context.new_page()
        page.add_init_script(INSTRUMENTS)
        page.goto(f"{server.url}/account/")
        viewed = Viewed(page)
        viewed.follow()
        viewed.wait_for('followed.status === "live"')
        old = server.worker.pid
        server.worker.terminate()  # gunicorn starts another
        until(lambda: [p.pid for p in server.worker_processes()] not in ([], [old]), "a new one")
        viewed.state = {"number": 11}
        viewed.wait_for_state(11)
        viewed.wait_for('followed.status === "live"')
        context.close()
